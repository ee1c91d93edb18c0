package survival

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The ioctl that makes a file system stop as if the power had failed: nothing
// that is not on the disk gets there, not even the journal. See the kernel's
// include/uapi/linux/fs.h.
const (
	shutdownRequest = 0x8004587D // FS_IOC_SHUTDOWN
	noLogFlush      = 2          // FS_SHUTDOWN_FLAGS_NOLOGFLUSH
)

// obstacle says why the power cannot be cut here; "" if it can.
func obstacle(uid int, exists func(path string) error, find func(tool string) error) string {
	if uid != 0 {
		return "it takes root to mount a file system and to shut it down"
	}
	if err := exists("/dev/loop-control"); err != nil {
		return fmt.Sprintf("there are no loop devices: %v", err)
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if err := find(tool); err != nil {
			return fmt.Sprintf("%s is missing: %v", tool, err)
		}
	}
	return ""
}

func TestWhereThePowerCannotBeCutTheReasonIsGiven(t *testing.T) {
	there := func(string) error { return nil }
	gone := func(string) error { return errors.New("gone") }
	for want, got := range map[string]string{
		"": obstacle(0, there, there),
		"it takes root to mount a file system and to shut it down": obstacle(1000, there, there),
		"there are no loop devices: gone":                          obstacle(0, gone, there),
		"mkfs.ext4 is missing: gone":                               obstacle(0, there, gone),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// image is an ext4 file system in a file, mounted through a loop device that
// the system frees when it is unmounted.
type image struct {
	t           *testing.T
	file, mount string
	mounted     bool
}

func newImage(t *testing.T) *image {
	t.Helper()
	dir := t.TempDir()
	i := &image{t: t, file: filepath.Join(dir, "image"), mount: filepath.Join(dir, "mount")}
	if err := errors.Join(os.WriteFile(i.file, nil, 0o600), os.Truncate(i.file, 64<<20), os.Mkdir(i.mount, 0o755)); err != nil {
		t.Fatal(err)
	}
	i.command("mkfs.ext4", "-q", "-F", i.file)
	t.Cleanup(func() {
		if i.mounted {
			_ = exec.Command("umount", "-l", i.mount).Run()
		}
	})
	return i
}

func (i *image) command(name string, args ...string) {
	i.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		i.t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// attach mounts the image, which replays its journal.
func (i *image) attach() {
	i.t.Helper()
	i.command("mount", "-o", "loop", i.file, i.mount)
	i.mounted = true
}

func (i *image) detach() {
	i.t.Helper()
	i.command("umount", i.mount)
	i.mounted = false
}

// cut simulates the loss of power. It returns its error, since it is called
// where the test must not be ended.
func (i *image) cut() error {
	d, err := os.Open(i.mount)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return unix.IoctlSetPointerInt(int(d.Fd()), shutdownRequest, noLogFlush)
}

// TestCutPowerLosesNothingAcknowledged trains and appends on its own file
// system and cuts it off at random times, REPRISE_CUTS times. After each cut,
// the file system's journal is replayed and a new process continues.
func TestCutPowerLosesNothingAcknowledged(t *testing.T) {
	why := obstacle(os.Getuid(), func(p string) error { _, err := os.Stat(p); return err },
		func(tool string) error { _, err := exec.LookPath(tool); return err })
	if why != "" {
		progress("SKIPPED: the power is not cut here: %s", why)
		t.Skip(why)
	}
	random, want, n := seeded(t), undisturbed(t), count(t, "REPRISE_CUTS", 20)
	acknowledged, completed := 0, 0
	for done := 0; done < n; {
		disk := newImage(t)
		disk.attach()
		c := newClient(t, filepath.Join(disk.mount, "data"), want, random)
		c.prepare()
		for range min(perDirectory, n-done) {
			var failed error
			c.cycle(func(cmd *exec.Cmd) {
				c.cutting.Store(true)
				failed = disk.cut()
				_ = cmd.Process.Kill()
			})
			if failed != nil {
				t.Fatalf("cutting the power: %v", failed)
			}
			disk.detach()
			disk.attach()
			c.check()
			done++
		}
		c.conclude()
		disk.detach()
		acknowledged += len(c.acks)
		completed += c.completed
		progress("%d of %d cuts: %d events acknowledged, none lost; %d runs complete with the same bits", done, n, acknowledged, completed)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d cuts: %d events acknowledged, %d runs complete", n, acknowledged, completed)
	if acknowledged == 0 {
		t.Error("no worker lived long enough to append anything")
	}
}
