package api

import (
	"context"
	"iter"
)

// RecordService is about what runs have recorded: their figures, why they were placed
// where they were, the proof of their bits, and what their models have learned.
type RecordService interface {
	// Metrics gives the figures of a run, in parts; [CollectMetrics] puts them
	// together.
	Metrics(ctx context.Context, r MetricsRequest) iter.Seq2[MetricsPart, error]
	// Explain says why a run waits for a device, or where it was placed.
	Explain(ctx context.Context, r ExplainRequest) (Explanation, error)
	// Verify trains a run again and compares. It gives progress now and then, and at
	// last the report. Where something differs, the report says what, and an error of
	// kind Corrupt follows it. It writes nothing.
	Verify(ctx context.Context, r VerifyRequest) iter.Seq2[VerifyUpdate, error]
	// Generate continues a prompt with the language model that a run has trained. It
	// gives the text in pieces: the prompt, then what is drawn.
	Generate(ctx context.Context, r GenerateRequest) iter.Seq2[GeneratedText, error]
	// ExportModel gives the files of the model that a run has trained, in a format of
	// another runtime.
	ExportModel(ctx context.Context, r ExportModelRequest) iter.Seq2[ModelPart, error]
	// Predict gives what a model predicts for the rows of a file, which it reads as it goes.
	// A row has the same bits alone and among others.
	Predict(ctx context.Context, r PredictRequest) iter.Seq2[PredictionPart, error]
	// Evaluate gives the figures of a model on new data, or on a split of the data of its
	// run, and meanwhile how many samples were measured.
	Evaluate(ctx context.Context, r EvaluateRequest) iter.Seq2[Update[ModelEvaluation], error]
	// Plot gives what pictures of a run show: its recorded curves and, by predictions on a
	// split of its data, how good it is. Pictures are drawn by whoever asks.
	Plot(ctx context.Context, r PlotRequest) iter.Seq2[Update[RunPlots], error]
}

// DataService is about data sets.
type DataService interface {
	// DataSets lists the catalogue, by name.
	DataSets(ctx context.Context, r DataSetsRequest) (DataSetList, error)
	// FetchDataSet makes sure that a data set of the catalogue is in the cache, and
	// intact.
	FetchDataSet(ctx context.Context, r FetchDataSetRequest) (DataSet, error)
	// InspectDataSet summarizes data as a request would read them. It fetches them if
	// they are in the catalogue and not in the cache.
	InspectDataSet(ctx context.Context, r InspectDataSetRequest) (Inspection, error)
}
