package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionInfo is what `reprise version` prints.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Level is the instruction set that the compiler may use (GOAMD64); what
	// kernels use is told by `reprise devices`.
	Level string `json:"goamd64,omitempty"`
}

func newVersionCommand(env *environment) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "version", Short: "Print the version of this build", Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := checkListFormat(format); err != nil {
				return err
			}
			v := readVersion()
			return env.listing(format, v, func(t *table) error {
				line := fmt.Sprintf("reprise %s, %s, %s", v.Version, v.Go, v.Platform)
				if v.Level != "" {
					line += " " + v.Level
				}
				if v.Revision != "" {
					line += ", revision " + v.Revision
				}
				if v.Modified {
					line += " (modified)"
				}
				t.line("%s", line)
				return nil
			})
		},
	}
	addListFormat(c, &format)
	return c
}

func readVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "GOAMD64":
			v.Level = s.Value
		}
	}
	return v
}
