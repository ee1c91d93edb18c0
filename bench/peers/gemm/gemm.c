/* A matrix product of OpenBLAS or oneDNN as a peer of bench/cmd/gemm; the
 * protocol is that of bench/internal/wire.
 *
 *   cc -O2 -DOPENBLAS gemm.c -o openblas -lopenblas
 *   cc -O2 -DONEDNN   gemm.c -o onednn   -ldnnl
 *   ./openblas M N K
 *
 * load FILE reads A [M,K] and B [K,N], both row-major; one run is C = A B. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef OPENBLAS
#include <cblas.h>
char *openblas_get_corename(void);
#else
#include <dnnl.h>
#endif

static long m, n, k;
static float *a, *b, *c;

static int product(void) {
#ifdef OPENBLAS
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, k, b, n, 0, c, n);
	return 0;
#else
	return dnnl_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n) != dnnl_success;
#endif
}

static int load(const char *path) {
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		return 1;
	int bad = fread(a, 4, m * k, f) != (size_t)(m * k) || fread(b, 4, k * n, f) != (size_t)(k * n);
	fclose(f);
	return bad;
}

static int check(const char *path) {
	FILE *f = fopen(path, "wb");
	if (f == NULL)
		return 1;
	int bad = product() || fwrite(c, 4, m * n, f) != (size_t)(m * n);
	return fclose(f) || bad;
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *matrix(long elements) {
	void *p = NULL;
	if (posix_memalign(&p, 64, (elements * 4 + 63) / 64 * 64))
		exit(1);
	return p;
}

static void name(char *to, size_t size) {
#ifdef OPENBLAS
	char version[64] = "OpenBLAS";
	sscanf(openblas_get_config(), "OpenBLAS %60s", version + strlen(strcpy(version, "OpenBLAS ")));
	snprintf(to, size, "%s %s", version, openblas_get_corename());
#else
	const dnnl_version_t *v = dnnl_version();
	snprintf(to, size, "oneDNN %d.%d.%d", v->major, v->minor, v->patch);
#endif
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	m = atol(argv[1]), n = atol(argv[2]), k = atol(argv[3]);
	a = matrix(m * k), b = matrix(k * n), c = matrix(m * n);
	char line[4096], argument[4096], reply[128];
	while (fgets(line, sizeof line, stdin) != NULL) {
		int bad = 0;
		strcpy(reply, "{}");
		if (sscanf(line, "load %4095[^\n]", argument) == 1) {
			bad = load(argument);
			char who[80];
			name(who, sizeof who);
			snprintf(reply, sizeof reply, "{\"name\":\"%s\"}", who);
		} else if (sscanf(line, "check %4095[^\n]", argument) == 1) {
			bad = check(argument);
		} else if (sscanf(line, "run %4095[^\n]", argument) == 1) {
			double start = now();
			for (long i = atol(argument); i > 0; i--)
				bad |= product();
			snprintf(reply, sizeof reply, "{\"seconds\":%.9f}", now() - start);
		} else {
			bad = 1;
		}
		if (bad)
			printf("{\"error\":\"%s failed: %.64s\"}\n", argv[0], strtok(line, "\n\"\\"));
		else
			puts(reply);
		fflush(stdout);
	}
	return 0;
}
