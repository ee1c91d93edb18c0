// Package client is api.Service in another process, reached over HTTP: package server
// is the other side. [New] makes one from a way to connect, such as to a Unix socket.
//
// It has no logic of its own. Answers, notices and errors are those of the service;
// only what is wrong with the connection is its own: an *api.Error of kind Unavailable
// with the code Unreachable. An answer that was cut off is such an error, never a short
// answer.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"slices"

	"reprise/api"
	"reprise/fault"
)

var _ api.Service = (*Client)(nil)

// Dial connects to a service.
type Dial func(ctx context.Context) (net.Conn, error)

// Client implements api.Service.
type Client struct {
	service string // its name in errors
	http    http.Client
	// operations have the bounds of requests.
	operations []api.Operation
}

// New returns a client of the service that dial connects to. The name, such as the
// path of its socket, is for errors. Close must follow.
func New(name string, dial Dial) *Client {
	return &Client{service: name, operations: api.Operations(), http: http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Ping fails where the service does not answer at all. It calls no operation.
func (c *Client) Ping(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://reprise/", http.NoBody)
	if err != nil {
		return api.ErrorOf(err)
	}
	response, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	return response.Body.Close()
}

// Runs implements api.Service.
func (c *Client) Runs(ctx context.Context, r api.RunsRequest) (api.RunList, error) {
	return unary(ctx, c, api.ListRuns, r)
}

// Run implements api.Service.
func (c *Client) Run(ctx context.Context, r api.RunRequest) (api.RunReport, error) {
	return unary(ctx, c, api.ShowRun, r)
}

// Compare implements api.Service.
func (c *Client) Compare(ctx context.Context, r api.CompareRequest) (api.Comparison, error) {
	return unary(ctx, c, api.CompareRuns, r)
}

// Delete implements api.Service.
func (c *Client) Delete(ctx context.Context, r api.DeleteRequest) (api.Deleted, error) {
	return unary(ctx, c, api.DeleteRuns, r)
}

// Queue implements api.Service.
func (c *Client) Queue(ctx context.Context, r api.QueueRequest) (api.QueueReport, error) {
	return unary(ctx, c, api.ShowQueue, r)
}

// SetQueue implements api.Service.
func (c *Client) SetQueue(ctx context.Context, r api.SetQueueRequest) (api.QueueReport, error) {
	return unary(ctx, c, api.SetQueue, r)
}

// Annotate implements api.Service.
func (c *Client) Annotate(ctx context.Context, r api.AnnotateRequest) (api.Annotated, error) {
	return unary(ctx, c, api.AnnotateRun, r)
}

// Metrics implements api.Service.
func (c *Client) Metrics(ctx context.Context, r api.MetricsRequest) iter.Seq2[api.MetricsPart, error] {
	return stream(ctx, c, api.ShowMetrics, r)
}

// Explain implements api.Service.
func (c *Client) Explain(ctx context.Context, r api.ExplainRequest) (api.Explanation, error) {
	return unary(ctx, c, api.ExplainRun, r)
}

// Verify implements api.Service.
func (c *Client) Verify(ctx context.Context, r api.VerifyRequest) iter.Seq2[api.VerifyUpdate, error] {
	return stream(ctx, c, api.VerifyRun, r)
}

// Generate implements api.Service.
func (c *Client) Generate(ctx context.Context, r api.GenerateRequest) iter.Seq2[api.GeneratedText, error] {
	return stream(ctx, c, api.GenerateText, r)
}

// ExportModel implements api.Service.
func (c *Client) ExportModel(ctx context.Context, r api.ExportModelRequest) iter.Seq2[api.ModelPart, error] {
	return stream(ctx, c, api.ExportRun, r)
}

// Predict implements api.Service.
func (c *Client) Predict(ctx context.Context, r api.PredictRequest) iter.Seq2[api.PredictionPart, error] {
	return stream(ctx, c, api.PredictRows, r)
}

// Evaluate implements api.Service.
func (c *Client) Evaluate(ctx context.Context, r api.EvaluateRequest) iter.Seq2[api.Update[api.ModelEvaluation], error] {
	return stream(ctx, c, api.EvaluateModel, r)
}

// Plot implements api.Service.
func (c *Client) Plot(ctx context.Context, r api.PlotRequest) iter.Seq2[api.Update[api.RunPlots], error] {
	return stream(ctx, c, api.PlotRun, r)
}

// DataSets implements api.Service.
func (c *Client) DataSets(ctx context.Context, r api.DataSetsRequest) (api.DataSetList, error) {
	return unary(ctx, c, api.ListDataSets, r)
}

// FetchDataSet implements api.Service.
func (c *Client) FetchDataSet(ctx context.Context, r api.FetchDataSetRequest) (api.DataSet, error) {
	return unary(ctx, c, api.FetchDataSet, r)
}

// InspectDataSet implements api.Service.
func (c *Client) InspectDataSet(ctx context.Context, r api.InspectDataSetRequest) (api.Inspection, error) {
	return unary(ctx, c, api.InspectDataSet, r)
}

// State implements api.Service.
func (c *Client) State(ctx context.Context, r api.StateRequest) (api.StateReport, error) {
	return unary(ctx, c, api.ShowState, r)
}

// Devices implements api.Service.
func (c *Client) Devices(ctx context.Context, r api.DevicesRequest) (api.DeviceList, error) {
	return unary(ctx, c, api.ListDevices, r)
}

// Lease implements api.Service.
func (c *Client) Lease(ctx context.Context, r api.LeaseRequest) iter.Seq2[api.LeaseUpdate, error] {
	return stream(ctx, c, api.LeaseDevice, r)
}

// Validate implements api.Service.
func (c *Client) Validate(ctx context.Context, r api.ValidateRequest) (api.Validation, error) {
	return unary(ctx, c, api.ValidateRun, r)
}

// Submit implements api.Service.
func (c *Client) Submit(ctx context.Context, r api.SubmitRequest) iter.Seq2[api.Submission, error] {
	return stream(ctx, c, api.SubmitRuns, r)
}

// Fork implements api.Service.
func (c *Client) Fork(ctx context.Context, r api.ForkRequest) (api.Forked, error) {
	return unary(ctx, c, api.ForkRun, r)
}

// Resume implements api.Service.
func (c *Client) Resume(ctx context.Context, r api.ResumeRequest) iter.Seq2[api.Submission, error] {
	return stream(ctx, c, api.ResumeRuns, r)
}

// Follow implements api.Service.
func (c *Client) Follow(ctx context.Context, r api.FollowRequest) iter.Seq2[api.RunUpdate, error] {
	return stream(ctx, c, api.FollowRuns, r)
}

// Interrupt implements api.Service.
func (c *Client) Interrupt(ctx context.Context, r api.InterruptRequest) (api.Interrupted, error) {
	return unary(ctx, c, api.InterruptRuns, r)
}

// Cancel implements api.Service.
func (c *Client) Cancel(ctx context.Context, r api.CancelRequest) (api.Commanded, error) {
	return unary(ctx, c, api.CancelRuns, r)
}

// Pause implements api.Service.
func (c *Client) Pause(ctx context.Context, r api.PauseRequest) (api.Commanded, error) {
	return unary(ctx, c, api.PauseRuns, r)
}

// Prioritize implements api.Service.
func (c *Client) Prioritize(ctx context.Context, r api.PriorityRequest) (api.Commanded, error) {
	return unary(ctx, c, api.PrioritizeRuns, r)
}

// Retry implements api.Service.
func (c *Client) Retry(ctx context.Context, r api.RetryRequest) (api.Commanded, error) {
	return unary(ctx, c, api.RetryRuns, r)
}

// Actors implements api.Service.
func (c *Client) Actors(ctx context.Context, r api.ActorsRequest) (api.ActorSnapshot, error) {
	return unary(ctx, c, api.ListActors, r)
}

// Tell implements api.Service.
func (c *Client) Tell(ctx context.Context, r api.Message) (api.MessageAnswer, error) {
	return unary(ctx, c, api.TellActor, r)
}

// Trace implements api.Service.
func (c *Client) Trace(ctx context.Context, r api.TraceRequest) (api.TraceStep, error) {
	return unary(ctx, c, api.TraceActor, r)
}

// unary calls an operation that has one answer.
func unary[Request, Answer any](ctx context.Context, c *Client, name api.Unary[Request, Answer], r Request) (answer Answer, err error) {
	items := 0
	for item, err := range call[Answer](ctx, c, string(name), r) {
		if err != nil {
			var none Answer
			return none, err
		}
		answer = item
		items++
	}
	if items != 1 {
		var none Answer
		return none, c.unreachable(ctx, fmt.Errorf("it gave %d answers to one request", items))
	}
	return answer, nil
}

// stream calls an operation that has any number of items.
func stream[Request, Item any](ctx context.Context, c *Client, name api.Stream[Request, Item], r Request) iter.Seq2[Item, error] {
	return call[Item](ctx, c, string(name), r)
}

// call calls an operation and yields its items. Breaking off ends the call.
func call[Item any](ctx context.Context, c *Client, name string, request any) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var none Item
		body, err := c.post(ctx, name, request)
		if err != nil {
			yield(none, err)
			return
		}
		defer func() { _ = body.Close() }() // it was only read
		for line, err := range c.lines(ctx, body) {
			switch {
			case err != nil:
				yield(none, err)
				return
			case line.Notice != nil:
				api.Notify(ctx, *line.Notice)
			case line.Error != nil:
				yield(none, line.Error)
				return
			case line.End:
				return
			default:
				var item Item
				if err := json.Unmarshal(line.Item, &item); err != nil {
					yield(none, c.unreachable(ctx, fmt.Errorf("it gave an answer that this version does not understand: %w", err)))
					return
				}
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// post sends a request, and returns the answer, in lines.
func (c *Client) post(ctx context.Context, name string, request any) (io.ReadCloser, error) {
	raw, err := json.Marshal(request)
	if err != nil {
		return nil, api.ErrorOf(err)
	}
	if i := slices.IndexFunc(c.operations, func(o api.Operation) bool { return o.Name == name }); i >= 0 {
		if err := c.operations[i].CheckSize(int64(len(raw))); err != nil { // the service would cut it off
			return nil, api.ErrorOf(err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://reprise"+api.PathPrefix+name, bytes.NewReader(raw))
	if err != nil {
		return nil, api.ErrorOf(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", api.LinesType)
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return response.Body, nil // its lines say whether the call succeeded
}

// lines yields the lines of an answer up to its last, or an error for one that was cut
// off.
func (c *Client) lines(ctx context.Context, body io.Reader) iter.Seq2[api.Line, error] {
	return func(yield func(api.Line, error) bool) {
		scanner := bufio.NewScanner(body)
		scanner.Buffer(nil, api.MaxLine)
		for scanner.Scan() {
			var line api.Line
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				yield(line, c.unreachable(ctx, fmt.Errorf("it does not answer as a service does: %w", err)))
				return
			}
			if !yield(line, nil) || line.End || line.Error != nil {
				return
			}
		}
		err := scanner.Err()
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		yield(api.Line{}, c.unreachable(ctx, fmt.Errorf("its answer was cut off: %w", err)))
	}
}

// unreachable returns the error for what is wrong with the connection. A call whose
// context has ended says that instead.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return api.EndOf(ctx)
	}
	return &api.Error{Fault: fault.Unavailable, Code: api.Unreachable, Message: fmt.Sprintf("the service at %s: %v", c.service, err)}
}
