package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// sizes are the gangs of the generated trace: how many jobs in ten thousand have
// so many devices, and quantiles of their durations in minutes, at the shares of
// shares(). They, and the days and hours of submission, are those of Philly's jobs
// (Jeon et al., USENIX ATC 2019) as prepared for Chronus (Gao et al., SoCC 2021):
// 30,756 jobs of 11 owners in 14 days.
type size struct {
	devices, weight int
	minutes         []float64
}

func sizes() []size {
	return []size{
		{1, 9222, []float64{20, 21, 23, 28, 34, 40, 57, 84, 104, 185, 240, 331, 871, 1629, 2469, 3141, 4317}},
		{2, 67, []float64{22, 38, 50, 204, 549, 679, 936, 1090, 1329, 2066, 2539, 2712, 3217, 3449, 4269, 4269, 4269}},
		{4, 381, []float64{20, 23, 32, 79, 241, 511, 762, 1141, 1534, 1911, 2474, 3003, 3409, 3793, 3944, 4268, 4316}},
		{8, 285, []float64{20, 29, 39, 85, 194, 363, 632, 1229, 1794, 2640, 3116, 3394, 3869, 4065, 4202, 4305, 4317}},
		{16, 40, []float64{23, 37, 68, 180, 330, 424, 696, 811, 1352, 1911, 2609, 2753, 3285, 3494, 3494, 3494, 3494}},
		{32, 5, []float64{36, 36, 72, 72, 272, 571, 1192, 1192, 1792, 1792, 1792, 2495, 2495, 2495, 2495, 2495, 2495}},
	}
}

func shares() []float64 {
	return []float64{0, .05, .1, .2, .3, .4, .5, .6, .7, .8, .85, .9, .95, .98, .99, .995, 1}
}

// days and hours weigh when jobs are submitted.
func days() []int {
	return []int{5135, 1698, 2824, 982, 1680, 3093, 877, 2087, 2588, 3179, 1840, 1776, 1692, 1305}
}

func hours() []int {
	return []int{3367, 1477, 1407, 1090, 813, 1423, 995, 702, 428, 2003, 1084, 469, 294, 1330, 684, 2372, 1277, 1149, 804, 1708, 685, 1249, 1849, 2097}
}

const owners = 11

// Generate returns a trace of n jobs with the distributions of Philly's; the same
// seed gives the same trace.
func Generate(n int, seed uint64) []Job {
	random := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	weights := make([]int, 0, 6)
	for _, s := range sizes() {
		weights = append(weights, s.weight)
	}
	jobs := make([]Job, n)
	for i := range jobs {
		s := sizes()[draw(random, weights)]
		day, hour := draw(random, days()), draw(random, hours())
		jobs[i] = Job{
			Owner: fmt.Sprintf("owner%02d", random.IntN(owners)), Devices: s.devices,
			Submit:   time.Duration((day*24+hour)*60+random.IntN(60)) * time.Minute,
			Duration: time.Duration(math.Round(quantile(s.minutes, random.Float64()))) * time.Minute,
		}
	}
	slices.SortStableFunc(jobs, func(a, b Job) int { return int(a.Submit - b.Submit) })
	for i := range jobs {
		jobs[i].ID = fmt.Sprintf("job%06d", i)
	}
	return jobs
}

// draw returns an index, in proportion to the weights.
func draw(random *rand.Rand, weights []int) int {
	total := 0
	for _, w := range weights {
		total += w
	}
	at := random.IntN(total)
	for i, w := range weights {
		if at -= w; at < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// quantile interpolates between the values at shares(), by ratio: durations spread
// over orders of magnitude.
func quantile(values []float64, share float64) float64 {
	x := shares()
	i, _ := slices.BinarySearch(x, share)
	if i == 0 {
		return values[0]
	}
	part := (share - x[i-1]) / (x[i] - x[i-1])
	return values[i-1] * math.Pow(values[i]/values[i-1], part)
}
