package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// inProcess runs a command line in this process, with a data directory.
func inProcess(dataDir string, args ...string) outcome {
	var stdout, stderr bytes.Buffer
	environ := map[string]string{"REPRISE_DATA_DIR": dataDir, "REPRISE_CACHE_DIR": dataDir + "-cache", "GOPROXY": "off",
		"GOENV": "off", "HOME": dataDir}
	code := run(append([]string{"reprise"}, args...), strings.NewReader(""), &stdout, &stderr,
		func(name string) string { return environ[name] })
	return outcome{code, stdout.String(), stderr.String()}
}

// everyCommand calls visit for every command that a user can call.
func everyCommand(visit func(*cobra.Command)) {
	root := newRootCommand(&environment{now: time.Now})
	root.InitDefaultHelpCmd()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.InitDefaultHelpFlag()
		visit(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// neededFlags are the flags that a command needs, with values that are not looked at
// where something else is wrong.
func neededFlags(c *cobra.Command) (flags []string) {
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, needed := f.Annotations[cobra.BashCompOneRequiredFlag]; needed {
			flags = append(flags, "--"+f.Name+"=1")
		}
	})
	return flags
}

// Whatever is wrong with a command line is said by this program: which command,
// which argument or flag, which value, and where to read on. Nothing is written.
func TestUsageErrorsOfEveryCommand(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	refused := func(c *cobra.Command, want string, args ...string) {
		t.Helper()
		line := slices.Concat(strings.Fields(c.CommandPath())[1:], neededFlags(c), args)
		o := inProcess(data, line...)
		shown := "reprise " + strings.Join(line, " ")
		if o.code != exitInvalid || o.stdout != "" {
			t.Errorf("%s: exit code %d, prints %q", shown, o.code, o.stdout)
		}
		if !strings.Contains(o.stderr, want) || !strings.HasPrefix(o.stderr, "reprise: ") || strings.Count(o.stderr, "\n") != 1 {
			t.Errorf("%s: %q, want %q", shown, o.stderr, want)
		}
		if !strings.Contains(o.stderr, "ee `"+c.CommandPath()+" --help`") {
			t.Errorf("%s: %q does not say where to read on", shown, o.stderr)
		}
		for _, foreign := range []string{"strconv", "pflag", "invalid argument", "accepts", "arg(s)", "shorthand", "syntax", "requires", "%!"} {
			if strings.Contains(o.stderr, foreign) {
				t.Errorf("%s: %q says %q", shown, o.stderr, foreign)
			}
		}
	}
	everyCommand(func(c *cobra.Command) {
		var arguments []string
		for _, p := range parametersOf(c) {
			if !p.optional {
				refused(c, p.name+" is missing", arguments...)
				refused(c, p.name+" is empty", append(slices.Clone(arguments), "")...)
			}
			if p.name == "COMMAND" {
				return // help has its own test
			}
			arguments = append(arguments, "x")
			if p.repeated {
				return
			}
		}
		if c.HasSubCommands() {
			refused(c, `unknown command "nonsense"`, "nonsense")
			refused(c, `unknown command "nonsense"`, "nonsense", "--fast")
		} else {
			refused(c, `unexpected argument "y"`, append(slices.Clone(arguments), "y")...)
		}
		refused(c, "unknown flag --fast", append(slices.Clone(arguments), "--fast")...)
		refused(c, "unknown flag --fast", append(slices.Clone(arguments), "--fast=3")...)
		refused(c, "unknown flag -z", append(slices.Clone(arguments), "-z")...)
		refused(c, "--=3 is not a flag", append(slices.Clone(arguments), "--=3")...)
		if c.HasSubCommands() {
			return // flags of a group are those of every command
		}
		flags := func(f *pflag.Flag) {
			flag := func(value string) []string { return append(slices.Clone(arguments), "--"+f.Name+"="+value) }
			switch f.Value.Type() {
			case "bool":
				refused(c, `--`+f.Name+`: "maybe" is neither true nor false`, flag("maybe")...)
				return
			case "int", "uint64":
				refused(c, `--`+f.Name+`: "many" is not a whole number`, flag("many")...)
				refused(c, `--`+f.Name+`: "1.5" is not a whole number`, flag("1.5")...)
				refused(c, `--`+f.Name+`: "" is not a whole number`, flag("")...)
				refused(c, `--`+f.Name+`: 99999999999999999999 is too large`, flag("99999999999999999999")...)
				if f.Value.Type() == "uint64" {
					refused(c, `--`+f.Name+`: -1 must not be negative`, flag("-1")...)
				}
			case "float64":
				refused(c, `--`+f.Name+`: "half" is not a number`, flag("half")...)
				refused(c, `--`+f.Name+`: 1e999 is too large`, flag("1e999")...)
			case "string":
				if _, allowed := f.Annotations[mayBeEmpty]; !allowed {
					refused(c, `--`+f.Name+` is empty`, flag("")...)
				}
			case "stringArray":
			default:
				refused(c, `--`+f.Name+`: "nonsense" is not a`, flag("nonsense")...)
				refused(c, `--`+f.Name+`: "" is not a`, flag("")...)
			}
			refused(c, "--"+f.Name+" needs a value: --"+f.Name+" ", append(slices.Clone(arguments), "--"+f.Name)...)
		}
		c.LocalFlags().VisitAll(flags)
		c.InheritedFlags().VisitAll(flags)
		refused(c, "--threads: -1 must not be negative", append(slices.Clone(arguments), "--threads", "-1")...)
		refused(c, `--memory: "much" is not an amount of memory; use one such as 2GiB`, append(slices.Clone(arguments), "--memory", "much")...)
		refused(c, "--cpu-features: mmx does not exist; use auto", append(slices.Clone(arguments), "--cpu-features", "mmx")...)
	})
	if _, err := os.Stat(data); err == nil {
		t.Error("a data directory was made")
	}
}

func TestMisspeltCommandsAndFlagsAreRecognized(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for line, want := range map[string]string{
		"runs lst":                  "runs: unknown command \"lst\"; did you mean `reprise runs list`? See `reprise runs --help`",
		"trian job.yaml":            "did you mean `reprise train`?",
		"trian --fast job.yaml":     "did you mean `reprise train`?",
		"resume latest":             "did you mean `reprise runs resume`?",
		"runs train job.yaml":       "did you mean `reprise train`?",
		"list":                      "did you mean `reprise datasets list`, `reprise projections list` or `reprise runs list`?",
		"verfy":                     "did you mean `reprise events verify` or `reprise runs verify`?",
		"help runs shw":             "did you mean `reprise runs show`?",
		"help nonsense":             "unknown command \"nonsense\"; see `reprise --help`",
		"runs metrics latest --stp": "did you mean --steps?",
		"events tail --folow":       "did you mean --follow?",
		"runs list -data-dir x":     "unknown flag -data-dir; did you mean --data-dir?",
		"runs list -o jsn":          "--output: \"jsn\" is not a format of this command; use table, json or yaml",
		"train x -o yaml":           "use text or json",
		"completion bsh":            `SHELL: "bsh" is not supported; use bash, zsh, fish or powershell`,
	} {
		o := inProcess(data, strings.Fields(line)...)
		if o.code != exitInvalid || o.stdout != "" || !strings.Contains(o.stderr, want) {
			t.Errorf("reprise %s: exit code %d, %q, want %q", line, o.code, o.stderr, want)
		}
	}
}

// What a usage line says of arguments is what the command takes.
func TestUsageLinesSayHowManyArgumentsThereAre(t *testing.T) {
	everyCommand(func(c *cobra.Command) {
		if c.HasSubCommands() {
			return
		}
		least, most := 0, 0
		for _, p := range parametersOf(c) {
			most++
			if !p.optional {
				least++
			}
			if p.repeated {
				most += 100
			}
		}
		for n := range 4 {
			err := c.ValidateArgs(slices.Repeat([]string{"x"}, n))
			if takes := n >= least && n <= most; takes != (err == nil) {
				t.Errorf("`%s` with %d arguments: %v", c.UseLine(), n, err)
			}
		}
	})
}

func TestHelpFitsATerminal(t *testing.T) {
	everyCommand(func(c *cobra.Command) {
		for i, line := range [][]string{append(strings.Fields(c.CommandPath())[1:], "--help"),
			append([]string{"help"}, strings.Fields(c.CommandPath())[1:]...)} {
			if i == 1 && c.Name() == "help" {
				continue
			}
			o := inProcess(t.TempDir(), line...)
			if o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, "Usage:\n  "+c.CommandPath()) {
				t.Errorf("%s: %+v", line, o)
			}
			for _, l := range strings.Split(o.stdout, "\n") {
				if n := len([]rune(l)); n > helpWidth || strings.Contains(l, "\t") {
					t.Errorf("%s --help: %d columns: %q", c.CommandPath(), n, l)
				}
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if name, _ := pflag.UnquoteUsage(f); f.Value.Type() != "bool" && name != strings.ToUpper(name) {
				t.Errorf("%s --%s: its value has no name; put one between backquotes", c.CommandPath(), f.Name)
			}
		})
	})
}
