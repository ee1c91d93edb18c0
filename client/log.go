package client

import (
	"context"
	"iter"

	"reprise/api"
)

// Events implements api.Service.
func (c *Client) Events(ctx context.Context, r api.EventsRequest) iter.Seq2[api.Event, error] {
	return stream(ctx, c, api.ListEvents, r)
}

// Tail implements api.Service.
func (c *Client) Tail(ctx context.Context, r api.TailRequest) iter.Seq2[api.Event, error] {
	return stream(ctx, c, api.TailEvents, r)
}

// Replay implements api.Service.
func (c *Client) Replay(ctx context.Context, r api.ReplayRequest) iter.Seq2[api.ReplayStep, error] {
	return stream(ctx, c, api.ReplayRun, r)
}

// VerifyLog implements api.Service.
func (c *Client) VerifyLog(ctx context.Context, r api.VerifyLogRequest) iter.Seq2[api.Update[api.LogVerification], error] {
	return stream(ctx, c, api.VerifyEvents, r)
}

// Head implements api.Service.
func (c *Client) Head(ctx context.Context, r api.HeadRequest) (api.LogHead, error) {
	return unary(ctx, c, api.ShowHead, r)
}

// Export implements api.Service.
func (c *Client) Export(ctx context.Context, r api.ExportRequest) iter.Seq2[api.ExportPart, error] {
	return stream(ctx, c, api.ExportEvents, r)
}

// Projections implements api.Service.
func (c *Client) Projections(ctx context.Context, r api.ProjectionsRequest) (api.ProjectionList, error) {
	return unary(ctx, c, api.ListProjections, r)
}

// RebuildProjections implements api.Service.
func (c *Client) RebuildProjections(ctx context.Context, r api.RebuildRequest) (api.RebuildReport, error) {
	return unary(ctx, c, api.Rebuild, r)
}

// Backup implements api.Service.
func (c *Client) Backup(ctx context.Context, r api.BackupRequest) iter.Seq2[api.Update[api.BackupReport], error] {
	return stream(ctx, c, api.MakeBackup, r)
}
