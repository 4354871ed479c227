package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// machine is this program as the first process of a machine, which the kernel has started from vm.sh's files. It makes of the machine what a node is as
// far as memory and sockets go, runs the program with the arguments again, says how it ended, and turns the machine off.
func machine() {
	if err := furnish(); err != nil {
		fmt.Println("wear: the machine:", err)
	} else {
		cmd := exec.CommandContext(context.Background(), "/init", os.Args[1:]...) //nolint:gosec // this very program
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		if err := cmd.Run(); err != nil {
			fmt.Println("wear: the machine:", err)
		} else {
			fmt.Println("wear: all is well")
		}
	}
	_ = unix.IoctlSetInt(int(os.Stdout.Fd()), unix.TCSBRK, 1) // until all has been written
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// furnish mounts what the kernel offers, and sets it up: a loopback interface, and the limits that a node of 16 GiB has whatever the machine's memory.
func furnish() error {
	for _, m := range []struct{ kind, at string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		_ = os.Mkdir(m.at, 0o755) //nolint:gosec // as a distribution has it
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.at, err)
		}
	}
	for _, f := range []struct{ file, value string }{
		{"/sys/fs/cgroup/cgroup.subtree_control", "+memory"},
		{"/proc/sys/net/ipv4/tcp_mem", "196608 262144 524288"},
		{"/proc/sys/fs/nr_open", "1048576"},
		{"/proc/sys/fs/file-max", "4194304"},
	} {
		if err := os.WriteFile(f.file, []byte(f.value), 0o600); err != nil {
			return err
		}
	}
	return loopback()
}

// loopback has the interface "lo" work.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
