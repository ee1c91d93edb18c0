package queue

import (
	"fmt"
	"slices"
	"strings"

	"reprise/fault"
)

// The limits of an annotation; a name and each tag have MaxNameLength.
const (
	MaxTags       = 32
	MaxNoteLength = 2000 // in bytes
)

// Annotation is what people call a run and remember of it. It changes nothing about what
// is trained or when, and can be changed at any time, even after the end.
type Annotation struct {
	// Name stands for the run's id wherever a run is asked for. Several runs may have the
	// same; it is then ambiguous.
	Name string `json:"name,omitempty"`
	// Tags are in the order in which they were added, each once.
	Tags []string `json:"tags,omitempty"`
	Note string   `json:"note,omitempty"`
}

// IsZero reports whether nothing is noted.
func (a Annotation) IsZero() bool { return a.Name == "" && len(a.Tags) == 0 && a.Note == "" }

// Equal reports whether both say the same.
func (a Annotation) Equal(b Annotation) bool {
	return a.Name == b.Name && a.Note == b.Note && slices.Equal(a.Tags, b.Tags)
}

// clone returns a copy that shares nothing.
func (a Annotation) clone() Annotation {
	a.Tags = copied(a.Tags)
	return a
}

// Validate fails with a *fault.FieldError, or several of them joined. Fields are named as
// in a training request.
func (a Annotation) Validate() error { return a.ValidateAs("job.", "tags") }

// ValidateAs names fields with a prefix, and that of the tags as tags.
func (a Annotation) ValidateAs(prefix, tags string) error {
	var errs fieldErrors
	if problem, fix := badRunName(a.Name); problem != "" {
		errs.add(prefix+"name", shown(a.Name), problem, fix)
	}
	addNames(&errs, prefix+tags, a.Tags, MaxTags, "a tag")
	if problem := badText(a.Note, MaxNoteLength); problem != "" {
		errs.add(prefix+"note", shown(a.Note), problem, fmt.Sprintf("use one line of at most %d bytes", MaxNoteLength))
	}
	return errs.join()
}

// badRunName says what is wrong with a name that is to stand for a run; "" if nothing is.
func badRunName(name string) (problem, fix string) {
	switch {
	case badName(name) != "":
		return badName(name), fmt.Sprintf("use one line of at most %d bytes", MaxNameLength)
	case name == "latest":
		return "means the newest run", "use another name"
	case strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".tar"):
		return "would be taken for a file where a run or a bundle is named", "use another name, without / and .tar"
	case strings.HasPrefix(name, "-"):
		return "would be taken for a flag where a run is named", "begin it with a letter or a digit"
	}
	return "", ""
}

// Annotate changes what is noted about a job. It fits a job in any state.
type Annotate struct {
	// Name and Note replace what was there, and remove it if they are empty; nil leaves
	// it.
	Name, Note *string
	// Tag are tags to add, Untag tags to remove. Those that are, or are not, there
	// already change nothing.
	Tag, Untag []string
}

func (Annotate) jobCommand() {}

// Validate fails for a command that no job can follow. Fields are named as those of the
// command: name, note, tag and untag.
func (c Annotate) Validate() error {
	var errs fieldErrors
	if c.Name == nil && c.Note == nil && len(c.Tag)+len(c.Untag) == 0 {
		errs.add("name", "", "is missing, and so are note, tag and untag", "say what to change")
	}
	a := Annotation{Tags: c.Tag}
	if c.Name != nil {
		a.Name = *c.Name
	}
	if c.Note != nil {
		a.Note = *c.Note
	}
	errs = append(errs, fault.Parts(a.ValidateAs("", "tag"))...)
	for i, tag := range c.Untag {
		switch {
		case slices.Contains(c.Tag, tag):
			errs.add(fmt.Sprintf("untag[%d]", i), shown(tag), "is also to be added", "add it or remove it")
		case tag == "":
			errs.add(fmt.Sprintf("untag[%d]", i), shown(tag), "is empty", "name a tag")
		}
	}
	return errs.join()
}

// of returns the annotation after the command.
func (c Annotate) of(a Annotation) Annotation {
	a = a.clone()
	if c.Name != nil {
		a.Name = *c.Name
	}
	if c.Note != nil {
		a.Note = *c.Note
	}
	return a.With(Annotation{Tags: c.Tag}).without(c.Untag)
}

// With returns the annotation with the name and the note of another one where that has
// them, and its tags added.
func (a Annotation) With(other Annotation) Annotation {
	a = a.clone()
	if other.Name != "" {
		a.Name = other.Name
	}
	if other.Note != "" {
		a.Note = other.Note
	}
	for _, tag := range other.Tags {
		if !slices.Contains(a.Tags, tag) {
			a.Tags = append(a.Tags, tag)
		}
	}
	return a
}

// AddedTo returns the annotation with everything of another one, like With. It fails with a
// *fault.FieldError of the field tags, which the tags of a came from, where that makes more
// tags than a run can have.
func (a Annotation) AddedTo(other Annotation) (Annotation, error) {
	all := other.With(a)
	return all, all.checkTags(len(other.Tags), "job.tags", "tags")
}

// checkTags fails where tags were added to as many that somebody has, and are now too many.
func (a Annotation) checkTags(before int, whose, field string) error {
	n := len(a.Tags)
	if n <= MaxTags || before > MaxTags {
		return nil // or the others are wrong by themselves
	}
	return &fault.FieldError{
		Field: field, Problem: fmt.Sprintf("would make %d tags with the %d of %s, and %d at most are allowed", n, before, whose, MaxTags),
		Fix: "add fewer, or remove others",
	}
}

func (a Annotation) without(tags []string) Annotation {
	a.Tags = copied(slices.DeleteFunc(copied(a.Tags), func(tag string) bool { return slices.Contains(tags, tag) }))
	return a
}

// annotate decides on the command.
func (j Job) annotate(c Annotate) ([]JobEvent, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	next := c.of(j.annotation)
	if err := next.checkTags(len(j.annotation.Tags), "the run", "tag"); err != nil {
		return nil, err
	}
	if next.Equal(j.annotation) {
		return nil, nil
	}
	return j.decided("annotate", JobAnnotated{next})
}

// Annotation returns what is noted about the job.
func (j Job) Annotation() Annotation { return j.annotation.clone() }
