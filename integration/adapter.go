package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"reprise/fault"
	"reprise/nn"
	"reprise/training"
)

// MaxPayload bounds the payload of a Message, in bytes.
const MaxPayload = 1 << 20

// maxCause bounds why somebody asks for something, in bytes: it is recorded.
const maxCause = 500

// Message is what somebody outside the actor system says to an actor in it.
type Message struct {
	// From names the sender, for dead letters; it may be empty.
	From string `json:"from,omitempty"`
	// To is a name in the actor registry: that of a hosted model (see ModelName) or of a
	// hosted run (see RunName).
	To string `json:"to"`
	// Type is one of MessageTypes.
	Type string `json:"type"`
	// Payload is a JSON object that Type gives its meaning; it may be left out where
	// nothing in it is required.
	Payload json.RawMessage `json:"payload,omitempty"`
}

// MessageType names the message in a list of dead letters.
func (m Message) MessageType() string { return m.Type }

// RunName is the name of a hosted run's actor in the registry.
func RunName(id training.RunID) string { return runName + string(id) }

// ModelName is the name of a hosted model's actor in the registry.
func ModelName(id nn.ModelID) string { return modelName + string(id) }

const (
	runName   = "run/"
	modelName = "model/"
)

// MLCommand is what a Message asks for, in the terms of training: StartTraining,
// PauseTraining or ResumeTraining.
type MLCommand interface {
	mlCommand()
	// validate returns what is wrong with the payload.
	validate() error
	// takenBy is the beginning of the names of the actors that take the command.
	takenBy() string
}

type (
	// StartTraining asks a model to be trained from its initial weights. Of the data
	// set, what Dataset.Source needs and the fingerprint count; the schedule is planned
	// for the whole run.
	StartTraining struct {
		Hyperparameters training.Hyperparameters `json:"hyperparameters"`
		Dataset         training.Dataset         `json:"dataset"`
	}

	// PauseTraining asks a run to checkpoint, to release what it holds and to stop. It
	// can be resumed.
	PauseTraining struct {
		Cause string `json:"cause,omitempty"` // recorded
	}

	// ResumeTraining asks an interrupted run to continue from its last checkpoint.
	ResumeTraining struct{}
)

func (StartTraining) mlCommand()  {}
func (PauseTraining) mlCommand()  {}
func (ResumeTraining) mlCommand() {}

func (StartTraining) takenBy() string  { return modelName }
func (PauseTraining) takenBy() string  { return runName }
func (ResumeTraining) takenBy() string { return runName }

func (c StartTraining) validate() error {
	var errs []error
	if c.Dataset.Path == "" {
		errs = append(errs, &fault.FieldError{Field: "payload.dataset.path", Value: `""`, Problem: "names no data", Fix: "name a data set of the catalogue, a folder or a file"})
	}
	if f := c.Dataset.Fingerprint; len(f) != 64 || strings.Trim(f, "0123456789abcdef") != "" {
		errs = append(errs, &fault.FieldError{Field: "payload.dataset.fingerprint", Value: quoted(f), Problem: "is not a SHA-256 in hexadecimal",
			Fix: "copy the fingerprint that an inspection of the data shows"})
	}
	// The other hyperparameters are checked with the data, whose size bounds them.
	if c.Hyperparameters.BatchSize < 1 {
		errs = append(errs, &fault.FieldError{Field: "payload.hyperparameters.batch_size", Value: fmt.Sprint(c.Hyperparameters.BatchSize),
			Problem: "must be at least 1", Fix: "use a size such as 32"})
	}
	if c.Hyperparameters.Epochs < 1 {
		errs = append(errs, &fault.FieldError{Field: "payload.hyperparameters.epochs", Value: fmt.Sprint(c.Hyperparameters.Epochs),
			Problem: "must be at least 1", Fix: "use a number such as 10"})
	}
	return errors.Join(errs...)
}

func (c PauseTraining) validate() error {
	if len(c.Cause) > maxCause {
		return &fault.FieldError{Field: "payload.cause", Value: fmt.Sprintf("of %d bytes", len(c.Cause)),
			Problem: fmt.Sprintf("is longer than %d bytes", maxCause), Fix: "shorten it"}
	}
	return nil
}

func (ResumeTraining) validate() error { return nil }

// mlCommands is the table of what is understood: the type of a message, and how its
// payload is read. Whatever is not in it is refused.
func mlCommands() map[string]func(Message) (MLCommand, error) {
	return map[string]func(Message) (MLCommand, error){
		"train":  adapt[StartTraining],
		"pause":  adapt[PauseTraining],
		"resume": adapt[ResumeTraining],
	}
}

// MessageTypes returns the types of messages that are understood, in order.
func MessageTypes() []string {
	var types []string
	for name := range mlCommands() {
		types = append(types, name)
	}
	slices.Sort(types)
	return types
}

// AdaptMessageToMLCommand translates what was said to an actor into what is asked of
// training. It fails with all that is wrong with the message, as *fault.FieldError: an
// unknown type, a receiver that takes no such message, a payload that does not decode.
func AdaptMessageToMLCommand(m Message) (MLCommand, error) {
	read, known := mlCommands()[m.Type]
	if !known {
		return nil, &fault.FieldError{Field: "type", Value: quoted(m.Type), Problem: "is not understood", Fix: "use one of " + strings.Join(MessageTypes(), ", ")}
	}
	command, err := read(m)
	if rest, ok := strings.CutPrefix(m.To, command.takenBy()); !ok || rest == "" {
		err = errors.Join(&fault.FieldError{Field: "to", Value: quoted(m.To), Problem: "does not take messages of type " + m.Type,
			Fix: "send it to " + command.takenBy() + "ID"}, err)
	}
	if err != nil {
		return nil, err
	}
	return command, nil
}

// adapt reads the payload strictly: what is not known must not be ignored.
func adapt[C MLCommand](m Message) (MLCommand, error) {
	var command C
	bad := func(problem string) (MLCommand, error) {
		return command, &fault.FieldError{Field: "payload", Value: quoted(string(m.Payload)), Problem: problem, Fix: "send a JSON object of the fields that " + m.Type + " has"}
	}
	switch text := bytes.TrimSpace(m.Payload); {
	case len(m.Payload) > MaxPayload:
		return bad(fmt.Sprintf("has %d bytes, more than %d", len(m.Payload), MaxPayload))
	case len(text) == 0:
		return command, command.validate()
	case text[0] != '{':
		return bad("is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(m.Payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&command); err != nil {
		return bad("cannot be read: " + strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return bad("has more than one JSON value")
	}
	return command, command.validate()
}

// quoted returns the beginning of a text from outside, quoted.
func quoted(text string) string {
	const most = 60
	if len(text) > most {
		return fmt.Sprintf("%q...", strings.ToValidUTF8(text[:most], ""))
	}
	return fmt.Sprintf("%q", text)
}
