package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"reprise/api"
	"reprise/internal/spelling"
)

// parameter is a positional argument of a command, as named in its usage line.
type parameter struct {
	name     string
	optional bool
	repeated bool
}

// parametersOf reads the parameters from a command's usage line: "show RUN",
// "export [FILE]", "rebuild [PROJECTION...]".
func parametersOf(c *cobra.Command) []parameter {
	var list []parameter
	for _, word := range strings.Fields(c.Use)[1:] {
		var p parameter
		p.name, p.optional = strings.CutPrefix(word, "[")
		p.name = strings.TrimSuffix(p.name, "]")
		p.name, p.repeated = strings.CutSuffix(p.name, "...")
		list = append(list, p)
	}
	return list
}

// wanted says what to give for a parameter.
func (p parameter) wanted() string {
	switch p.name {
	case "RUN":
		return "name a run by its id, the beginning of one, or latest"
	case "JOB":
		return "give a request file, such as examples/digits.yaml, or - for standard input"
	case "NAME":
		return "name a data set that `reprise datasets list` shows"
	case "NAME|FOLDER|FILE":
		return "name a data set of the catalogue, a folder or a CSV file"
	case "FOLDER":
		return "give the path of a folder"
	case "NEW_FOLDER":
		return "name the folder to make, which does not exist yet"
	case "FILE":
		return "give the path of a file"
	case "PROJECTION":
		return "name a projection that `reprise projections list` shows"
	case "SHELL":
		return "use one of " + orList(shells())
	}
	return "give " + p.name
}

// usage refuses arguments that check does not accept, in this program's words. What a
// command accepts is in its usage line, and check agrees with it.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if c.HasSubCommands() && len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		list := parametersOf(c)
		for i, a := range args {
			if a == "" && len(list) > 0 {
				p := list[min(i, len(list)-1)]
				return usageError(c, "%s is empty; %s", p.name, p.wanted())
			}
		}
		if check(c, args) == nil {
			return nil
		}
		if len(args) < len(list) {
			p := list[len(args)]
			return usageError(c, "%s is missing; %s", p.name, p.wanted())
		}
		if len(list) == 0 {
			return usageError(c, "unexpected argument %q; the command takes none", args[0])
		}
		if meant := meantSetting(c, args[len(list)]); meant != "" {
			return usageError(c, "unexpected argument %q; write --set %s", args[len(list)], meant)
		}
		last := list[len(list)-1].name
		return usageError(c, "unexpected argument %q after %s %s; give one %s", args[len(list)], last, args[len(list)-1], last)
	}
}

// usageError says what is wrong with a command line, for which command, and where
// to read how it is written.
func usageError(c *cobra.Command, format string, args ...any) error {
	where := ""
	if c.HasParent() {
		where = strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") + ": "
	}
	text, see := fmt.Sprintf(format, args...), "; see"
	if strings.HasSuffix(text, "?") {
		see = " See"
	}
	return invalid(fmt.Errorf("%s%s%s `%s --help`", where, text, see, c.CommandPath()))
}

// meantSetting returns the FIELD=VALUE that an argument too many was meant for: as the
// value of a --set that has none, or without the flag; else "".
func meantSetting(c *cobra.Command, argument string) string {
	set := c.Flags().Lookup("set")
	if set == nil {
		return ""
	}
	if name, value, ok := strings.Cut(argument, "="); ok {
		if fields := api.FieldsNamed(name); len(fields) == 1 {
			return fields[0] + "=" + value
		}
		return ""
	}
	settings, err := c.Flags().GetStringArray("set")
	if err != nil {
		return ""
	}
	for _, s := range settings {
		if fields := api.FieldsNamed(s); !strings.Contains(s, "=") && len(fields) == 1 {
			return fields[0] + "=" + argument
		}
	}
	return ""
}

// unknownCommand says that a group has no such command, and which one was meant:
// one of the group, or one of that name elsewhere.
func unknownCommand(group *cobra.Command, name string) error {
	if advice := insteadOf(group, name); advice != "" {
		return usageError(group, "unknown command %q; %s", name, advice)
	}
	commands := map[string][]string{} // paths by name
	collect := func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				commands[sub.Name()] = append(commands[sub.Name()], "`"+sub.CommandPath()+"`")
			}
		}
	}
	collect(group)
	meant, found := spelling.Nearest(name, slices.Sorted(maps.Keys(commands)))
	near := commands[meant]
	clear(commands)
	collect(group.Root())
	for _, sub := range group.Root().Commands() {
		collect(sub)
	}
	if commands[name] != nil {
		near, found = commands[name], true // of another group
	} else if !found {
		meant, found = spelling.Nearest(name, slices.Sorted(maps.Keys(commands)))
		near = commands[meant]
	}
	if found {
		return usageError(group, "unknown command %q; did you mean %s?", name, orList(near))
	}
	return usageError(group, "unknown command %q", name)
}

// insteadOf says how to do what other programs have a command for and this one does
// in another way; "" where it has such a command.
func insteadOf(group *cobra.Command, name string) string {
	if group.HasParent() && group.Name() != "runs" {
		return ""
	}
	switch strings.ToLower(name) {
	case "stop", "kill", "abort", "interrupt", "quit", "terminate", "suspend", "halt", "end":
		runs := "`" + group.Root().Name() + " runs "
		return "use " + runs + "pause RUN` to stop a run that can be resumed later, or " + runs + "cancel RUN` to end it for good (both write a checkpoint first)"
	case "delete", "del", "rm", "remove", "prune", "clean", "purge", "drop":
		return "use `" + group.Root().Name() + " runs delete RUN`: it removes the files of a run for good, and asks before it does"
	}
	return ""
}

// flagError describes what is wrong with a flag.
func (env *environment) flagError(c *cobra.Command, err error) error {
	if before := c.Flags().Args(); c.HasSubCommands() && len(before) > 0 {
		return unknownCommand(c, before[0]) // whose flag it was meant to be
	}
	var unknown *pflag.NotExistError
	var lacking *pflag.ValueRequiredError
	var value *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		return env.unknownFlag(c, unknown)
	case errors.As(err, &lacking):
		f := lacking.GetFlag()
		name, _ := pflag.UnquoteUsage(f)
		return usageError(c, "--%s needs a value: --%s %s", f.Name, f.Name, name)
	case errors.As(err, &value):
		return usageError(c, "--%s: %s", value.GetFlag().Name, describeBadValue(value))
	case errors.As(err, &syntax):
		return usageError(c, "%s is not a flag; write --NAME VALUE or --NAME=VALUE", syntax.GetSpecifiedFlag())
	}
	return usageError(c, "%v", err)
}

func (env *environment) unknownFlag(c *cobra.Command, err *pflag.NotExistError) error {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	given, searched := "--"+err.GetSpecifiedName(), err.GetSpecifiedName()
	if group := err.GetSpecifiedShortnames(); group != "" {
		given, searched = "-"+group, strings.TrimSuffix(group, "=")
	}
	searched, _, _ = strings.Cut(searched, "=")
	near, mistyped := spelling.Close(searched, names)
	if instead := env.settingOf(c, searched); instead != "" && (!mistyped || len(searched) < 4 || isField(searched)) {
		return usageError(c, "unknown flag %s; %s", given, instead)
	}
	if mistyped {
		return usageError(c, "unknown flag %s; did you mean --%s?", given, near)
	}
	if meant, ok := spelling.Nearest(searched, names); ok && len(searched) > 1 {
		return usageError(c, "unknown flag %s; did you mean --%s?", given, meant)
	}
	return usageError(c, "unknown flag %s", given)
}

// isField reports whether a field of a request has just this name.
func isField(name string) bool {
	return slices.ContainsFunc(api.FieldsNamed(name), func(field string) bool {
		return strings.HasSuffix("."+field, "."+strings.ReplaceAll(name, "-", "_"))
	})
}

// settingOf says, of a flag that a command does not have and that is named like
// --set or a field of a request, how the field is set; else "".
func (env *environment) settingOf(c *cobra.Command, name string) string {
	resumes := c.CommandPath() == c.Root().Name()+" runs resume"
	sets := c.Flags().Lookup("set") != nil
	fields := api.FieldsNamed(name)
	if !sets && !resumes || len(fields) == 0 && name != "set" {
		return ""
	}
	value := env.valueOf(name)
	if name == "set" {
		value = cmp.Or(value, "FIELD=VALUE")
	} else {
		for i, field := range fields {
			fields[i] = field + "=" + cmp.Or(value, "VALUE")
		}
		value = strings.Join(fields, " or --set ")
	}
	if sets {
		return "write --set " + value
	}
	return "a run is resumed with the settings that it has; to change them, use `" + c.Root().Name() + " runs fork RUN --set " + value + "`"
}

// valueOf returns what the command line has as the value of a flag.
func (env *environment) valueOf(flag string) string {
	for i, a := range env.args {
		if value, ok := strings.CutPrefix(a, "--"+flag+"="); ok {
			return value
		}
		if a == "--"+flag && i+1 < len(env.args) && !strings.HasPrefix(env.args[i+1], "--") {
			return env.args[i+1]
		}
	}
	return ""
}

// describeBadValue says why a flag does not take a value, and what it takes.
func describeBadValue(err *pflag.InvalidValueError) string {
	f := err.GetFlag()
	example := f.DefValue
	if n, err := strconv.ParseFloat(example, 64); err != nil || n == 0 {
		example = ""
	}
	large := errors.Is(err, strconv.ErrRange)
	switch f.Value.Type() {
	case "int", "uint64":
		if example == "" {
			example = "4"
		}
		switch {
		case large:
			return fmt.Sprintf("%s is too large; use a number such as %s", err.GetValue(), example)
		case f.Value.Type() == "uint64" && isInteger(err.GetValue()):
			return fmt.Sprintf("%s must not be negative; use a number such as %s", err.GetValue(), example)
		}
		return fmt.Sprintf("%q is not a whole number; use one such as %s", err.GetValue(), example)
	case "float64":
		if example == "" {
			example = "0.5"
		}
		if large {
			return fmt.Sprintf("%s is too large; use a number such as %s", err.GetValue(), example)
		}
		return fmt.Sprintf("%q is not a number; use one such as %s", err.GetValue(), example)
	case "bool":
		return fmt.Sprintf("%q is neither true nor false; give --%s without a value to switch it on", err.GetValue(), f.Name)
	}
	return err.Unwrap().Error() // a type of this program, whose error says it
}

func isInteger(text string) bool {
	_, err := strconv.ParseInt(text, 10, 64)
	return err == nil
}

// mayBeEmpty marks a flag whose value may be an empty text.
const mayBeEmpty = "reprise_may_be_empty"

// checkFlags refuses flags that are known to be wrong before a command begins: empty
// values, bad values of the flags that every command has, and missing flags, all at once.
func (env *environment) checkFlags(c *cobra.Command) error {
	var wrong []string
	c.Flags().Visit(func(f *pflag.Flag) {
		if _, allowed := f.Annotations[mayBeEmpty]; f.Value.Type() == "string" && f.Value.String() == "" && !allowed {
			wrong = append(wrong, fmt.Sprintf("--%s is empty; give it a value or leave it out", f.Name))
		}
	})
	if env.threads < 0 {
		wrong = append(wrong, fmt.Sprintf("--threads: %d must not be negative; use 0 for one thread per processor", env.threads))
	}
	if _, ok := parseMemory(env.memory); !ok && env.memory != "" {
		wrong = append(wrong, fmt.Sprintf("--memory: %q is not an amount of memory; use one such as 2GiB or 500MB", env.memory))
	}
	if problem := cpuFeaturesProblem(env.cpuFeatures); problem != "" && env.cpuFeatures != "" {
		wrong = append(wrong, fmt.Sprintf("--cpu-features: %s %s; use %s", env.cpuFeatures, problem, orList(cpuFeatureNames())))
	}
	if wrong = append(wrong, missingFlags(c)...); len(wrong) > 0 {
		return usageError(c, "%s", strings.Join(wrong, "\n"))
	}
	return nil
}

// missingFlags says which flags a command needs and does not have. Where the last
// argument could be the value of one, it says so.
func missingFlags(c *cobra.Command) (missing []string) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; !required || f.Changed {
			return
		}
		value, _ := pflag.UnquoteUsage(f)
		if args := c.Flags().Args(); len(args) > 1 && f.Value.Type() == "int" && isInteger(args[len(args)-1]) {
			value = args[len(args)-1]
		}
		missing = append(missing, fmt.Sprintf("--%s is missing; write --%s %s", f.Name, f.Name, value))
	})
	return missing
}

// flagOf returns the flag that sets a field: --top-k for top_k.
func flagOf(field string) string { return "--" + strings.ReplaceAll(field, "_", "-") }

// exclusive refuses flags that cannot be given together, since one of them would be
// ignored.
func exclusive(c *cobra.Command, names ...string) error {
	var given []string
	for _, name := range names {
		if c.Flags().Changed(name) {
			given = append(given, "--"+name)
		}
	}
	if len(given) < 2 {
		return nil
	}
	return usageError(c, "%s cannot be given together; leave one of them out", andList(given))
}
