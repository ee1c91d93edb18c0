package api

import "reprise/dataset"

// DataSetsRequest asks for the catalogue.
type DataSetsRequest struct{}

// DataSetList is the data sets of the catalogue, by name.
type DataSetList struct {
	DataSets []DataSet `json:"data_sets"`
}

// DataSet is a data set of the catalogue.
type DataSet struct {
	dataset.Entry
	Status dataset.Status `json:"status"`
}

// FetchDataSetRequest asks for a data set of the catalogue to be in the cache.
type FetchDataSetRequest struct {
	Name string `json:"name"`
}

// InspectDataSetRequest asks what is in data.
type InspectDataSetRequest struct {
	// Path is a name of the catalogue, a folder or a file, as in dataset.Source.
	Path Text `json:"path"`
	// Folder is the absolute path of the folder that a relative path starts from; ""
	// is the one that the service runs in.
	Folder Text `json:"folder,omitempty"`
	// The rest says how to read the data, as in dataset.Source; all of it may be zero.
	Task               dataset.Task `json:"task,omitempty"`
	Target             Text         `json:"target,omitempty"`
	ValidationFraction float64      `json:"validation_fraction,omitempty"`
	Tokenizer          string       `json:"tokenizer,omitempty"`
	Vocabulary         int          `json:"vocabulary,omitempty"`
	Context            int          `json:"context,omitempty"`
	// Image says what becomes of the images of files.
	Image dataset.ImageOptions `json:"image,omitzero"`
	// Samples is how many images of the training split to give, at most
	// MaxInspectedSamples.
	Samples int `json:"samples,omitempty"`
}

// MaxInspectedSamples bounds the samples of an inspection.
const MaxInspectedSamples = 16

// Source returns the data that the request means, with the path as the request has it.
func (r InspectDataSetRequest) Source() dataset.Source {
	source := dataset.Source{
		Path: string(r.Path), Task: r.Task, Target: string(r.Target), ValidationFraction: r.ValidationFraction,
		Vocabulary: r.Vocabulary, Context: r.Context, Image: r.Image,
	}
	assign(&source.Tokenizer, r.Tokenizer)
	return source
}

// Inspection is what is in data.
type Inspection struct {
	Summary DataSummary `json:"summary"`
	// Samples are the first images of the training split, as many as were asked for
	// and there are; none for other data.
	Samples []ImageSample `json:"samples,omitempty"`
	// Text is how the training split of a text begins.
	Text Text `json:"text,omitempty"`
}

// DataSummary describes data.
type DataSummary struct {
	dataset.Summary
	// Entry is the catalogue's, nil for local data.
	Entry *dataset.Entry `json:"entry,omitempty"`
	// Note says what may be a mistake in the data.
	Note string `json:"note,omitempty"`
}

// ImageSample is an image.
type ImageSample struct {
	// Class is the index of its class.
	Class int32 `json:"class"`
	// Pixels are the values as they were read: rows of columns of channels.
	Pixels []float64 `json:"pixels"`
}
