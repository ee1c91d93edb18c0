package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reprise/api"
	"reprise/dataset"
)

// shells are those that completion scripts are written for.
func shells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

func newCompletionCommand(env *environment) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes command lines in a shell",
		Long: `Completion prints a script for SHELL (bash, zsh, fish or powershell) that
completes commands, flags and their values: run ids with the state of each run,
the steps of its checkpoints, data sets, request files, output formats. It only
reads the data directory.

  bash        add to ~/.bashrc:  source <(reprise completion bash)
  zsh         add to ~/.zshrc, after compinit:
              source <(reprise completion zsh)
  fish        reprise completion fish > ~/.config/fish/completions/reprise.fish
  powershell  add to the profile:
              reprise completion powershell | Out-String | Invoke-Expression

bash needs the package bash-completion, loaded before the script, as a new interactive
shell loads it (on Debian: apt install bash-completion).`,
		Example: "  source <(reprise completion bash)",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return env.completeInBash(root)
			case "zsh":
				return root.GenZshCompletion(env.stdout)
			case "fish":
				return root.GenFishCompletion(env.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(env.stdout)
			}
			return usageError(c, "SHELL: %q is not supported; use %s", args[0], orList(shells()))
		},
	}
}

// completeInBash writes the script for bash. Where the functions of bash-completion that
// it calls are not there, it says what to install instead of failing at every key.
func (env *environment) completeInBash(root *cobra.Command) error {
	var script strings.Builder
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	_, err := fmt.Fprintf(env.stdout, `if ! declare -F _init_completion >/dev/null && ! declare -F _get_comp_words_by_ref >/dev/null; then
    echo "reprise: completion needs the package bash-completion, loaded before this script:" >&2
    echo "install it (on Debian: apt install bash-completion) and start a new shell" >&2
else
%s
fi
`, script.String())
	return err
}

// candidates returns the words that may stand at a place of a command line.
type candidates func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective)

// setCompletion sets what completes the arguments and flags of c and every command
// below it, by their names.
func (env *environment) setCompletion(c *cobra.Command) {
	parameters := parametersOf(c)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(parameters) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		p := parameters[min(len(args), len(parameters)-1)]
		if len(args) >= len(parameters) && !p.repeated {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return env.argumentCandidates(p.name)(c, args, prefix)
	}
	set := func(f *pflag.Flag) {
		if complete := env.flagCandidates(f); complete != nil {
			_ = c.RegisterFlagCompletionFunc(f.Name, complete) // it fails only for a flag that is already registered
		}
	}
	c.LocalNonPersistentFlags().VisitAll(set)
	c.PersistentFlags().VisitAll(set)
	for _, sub := range c.Commands() {
		env.setCompletion(sub)
	}
}

func (env *environment) argumentCandidates(name string) candidates {
	switch name {
	case "RUN":
		return env.runCandidates
	case "JOB":
		return filesOf("yaml", "yml")
	case "NAME":
		return env.datasetCandidates
	case "NAME|FOLDER|FILE":
		return env.dataCandidates
	case "FOLDER":
		return foldersOnly
	case "FILE":
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
	case "PROJECTION":
		return env.projectionCandidates
	case "SHELL":
		return words(shells()...)
	}
	return words()
}

// flagCandidates returns what completes the flag's value; nil leaves it to the
// shell.
func (env *environment) flagCandidates(f *pflag.Flag) candidates {
	switch f.Name {
	case "output":
		if f.DefValue == formatTable {
			return words(formatTable, formatJSON, formatYAML)
		}
		return words(f.DefValue, formatJSON)
	case "format":
		return words(exportFormats()...)
	case "kind":
		return words(plotKindNames()...)
	case "split":
		return words(dataset.Validation.String(), dataset.Test.String())
	case "out":
		return nil // a file or a folder, which the shell knows
	case "cpu-features":
		return words(cpuFeatureNames()...)
	case "memory":
		return words("1GiB", "2GiB", "4GiB", "8GiB")
	case "data-dir":
		return foldersOnly
	case "run":
		return env.runCandidates
	case "dataset":
		return env.dataCandidates
	case "from", "to", "step":
		return env.stepCandidates
	case "share", "quota":
		return env.settingCandidates(func(r api.QueueReport) []string {
			var owners []string
			for _, o := range r.Owners {
				owners = append(owners, o.Owner)
			}
			return owners
		})
	case "label":
		return env.settingCandidates(func(r api.QueueReport) []string {
			var devices []string
			for _, d := range r.Devices {
				devices = append(devices, string(d.ID))
			}
			return devices
		})
	case "type":
		return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
			return beginningWith(prefix, []string{"training.", "device.", "actor.", "queue."}),
				cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	}
	if f.Value.Type() == "bool" {
		return nil
	}
	return words()
}

func words(list ...string) candidates {
	return func(_ *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		return beginningWith(prefix, list), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func beginningWith(prefix string, list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(w string) bool { return !strings.HasPrefix(w, prefix) })
}

func filesOf(extensions ...string) candidates {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	}
}

func foldersOnly(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// maxCandidates is more than anybody will read.
const maxCandidates = 200

// runCandidates are the ids and names of the runs, the newest first, each with the
// run's state, and latest.
func (env *environment) runCandidates(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	var runs []api.Run
	if err := env.quietly(c, func(ctx context.Context, s api.Service) error {
		list, err := s.Runs(ctx, api.RunsRequest{})
		runs = list.Runs
		return err
	}); err != nil || len(runs) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var found []string
	said := map[string]bool{}
	found = append(found, beginningWith(prefix, []string{"latest\tthe newest run"})...)
	for _, r := range slices.Backward(runs) {
		if c.Name() == "resume" && r.State.Terminal() {
			continue // it would be refused
		}
		for _, word := range []string{string(r.RunID), r.Name} {
			if word != "" && !said[word] && strings.HasPrefix(word, prefix) && len(found) < maxCandidates {
				said[word] = true // the newest of those that have the same name
				found = append(found, fmt.Sprintf("%s\t%s, %s, epoch %d of %d", word, r.State, r.Dataset, r.Epoch, r.Epochs))
			}
		}
	}
	return found, directive
}

// settingCandidates are the names of what the settings of the queue are about, with the
// equals sign that follows.
func (env *environment) settingCandidates(names func(api.QueueReport) []string) candidates {
	return func(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		var found []string
		_ = env.quietly(c, func(ctx context.Context, s api.Service) error { // then there is nothing to complete
			report, err := s.Queue(ctx, api.QueueRequest{})
			for _, name := range names(report) {
				if name != "" {
					found = append(found, name+"=")
				}
			}
			return err
		})
		return beginningWith(prefix, found), directive
	}
}

// stepCandidates are the steps of the checkpoints of the run that the command
// line names.
func (env *environment) stepCandidates(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	if len(args) == 0 {
		return nil, directive
	}
	var run api.RunReport
	if err := env.quietly(c, func(ctx context.Context, s api.Service) (err error) {
		run, err = s.Run(ctx, api.RunRequest{Run: args[0]})
		return err
	}); err != nil { // what cannot be read has no steps to offer
		return nil, directive
	}
	var found []string
	for _, cp := range slices.Backward(run.Details.KeptCheckpoints()) {
		step := strconv.FormatUint(cp.Step, 10)
		if !strings.HasPrefix(step, prefix) || len(found) >= maxCandidates {
			continue
		}
		about := fmt.Sprintf("epoch %d, loss %s", cp.Epoch, formatMetric(cp.Loss))
		if cp.Step == run.BestStep {
			about += ", best"
		}
		found = append(found, step+"\t"+about)
	}
	return found, directive
}

// datasetCandidates are the data sets of the catalogue.
func (env *environment) datasetCandidates(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var found []string
	if err := env.quietly(c, func(ctx context.Context, s api.Service) error {
		list, err := s.DataSets(ctx, api.DataSetsRequest{})
		for _, d := range list.DataSets {
			found = append(found, d.Name+"\t"+d.Title)
		}
		return err
	}); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginningWith(prefix, found), cobra.ShellCompDirectiveNoFileComp
}

// dataCandidates are the data sets of the catalogue, and files.
func (env *environment) dataCandidates(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	names, _ := env.datasetCandidates(c, args, prefix)
	return names, cobra.ShellCompDirectiveDefault
}

// projectionCandidates are the read models of the log.
func (env *environment) projectionCandidates(c *cobra.Command, _ []string, prefix string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if err := env.quietly(c, func(ctx context.Context, s api.Service) error {
		list, err := s.Projections(ctx, api.ProjectionsRequest{})
		for _, p := range list.Projections {
			names = append(names, p.Name)
		}
		return err
	}); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginningWith(prefix, names), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// quietly is withService without notices: they would land in the command line.
func (env *environment) quietly(c *cobra.Command, do func(context.Context, api.Service) error) error {
	return env.withService(contextOf(c), func(ctx context.Context, s api.Service) error {
		return do(api.WithNotices(ctx, func(api.Notice) {}), s)
	})
}

// contextOf returns the command's context; completion requests come without one.
func contextOf(c *cobra.Command) context.Context {
	if ctx := c.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
