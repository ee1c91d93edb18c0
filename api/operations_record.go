package api

// The operations on what runs have recorded, and on data sets.
const (
	ShowMetrics    Stream[MetricsRequest, MetricsPart]              = "runs.metrics"
	ExplainRun     Unary[ExplainRequest, Explanation]               = "runs.explain"
	VerifyRun      Stream[VerifyRequest, VerifyUpdate]              = "runs.verify"
	GenerateText   Stream[GenerateRequest, GeneratedText]           = "runs.generate"
	ExportRun      Stream[ExportModelRequest, ModelPart]            = "runs.export"
	PredictRows    Stream[PredictRequest, PredictionPart]           = "models.predict"
	EvaluateModel  Stream[EvaluateRequest, Update[ModelEvaluation]] = "models.evaluate"
	PlotRun        Stream[PlotRequest, Update[RunPlots]]            = "runs.plot"
	ListDataSets   Unary[DataSetsRequest, DataSetList]              = "datasets.list"
	FetchDataSet   Unary[FetchDataSetRequest, DataSet]              = "datasets.fetch"
	InspectDataSet Unary[InspectDataSetRequest, Inspection]         = "datasets.inspect"
)

func recordOperations() []Operation {
	return []Operation{
		stream(ShowMetrics, Service.Metrics).reading(),
		unary(ExplainRun, Service.Explain).reading(),
		stream(VerifyRun, Service.Verify),
		stream(GenerateText, Service.Generate),
		stream(ExportRun, Service.ExportModel).reading(),
		stream(PredictRows, Service.Predict).reading(),
		stream(EvaluateModel, Service.Evaluate),
		stream(PlotRun, Service.Plot),
	}
}

func dataOperations() []Operation {
	return []Operation{
		unary(ListDataSets, Service.DataSets).reading(),
		unary(FetchDataSet, Service.FetchDataSet),
		unary(InspectDataSet, Service.InspectDataSet).reading(),
	}
}
