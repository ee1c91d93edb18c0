package integration

import (
	"context"
	"fmt"

	"reprise/eventstore"
	"reprise/internal/stepseries"
	"reprise/training"
)

// LostFiles names a checkpoint, or the step series of a run, that could not be
// taken over.
type LostFiles struct {
	Run  training.RunID `json:"run_id"`
	What string         `json:"what"`
}

// SalvageRunFiles is CopyRunFiles for a data directory that is damaged: what cannot
// be copied, each as its event says, is left out and named.
func SalvageRunFiles(ctx context.Context, log eventstore.Store, to, from Workspace, progress func(done, of uint64)) (RunFiles, []LostFiles, error) {
	var copied RunFiles
	var lost []LostFiles
	state, err := StateAt(ctx, log, eventstore.End)
	if err != nil {
		return copied, nil, err
	}
	total := uint64(0)
	for _, r := range state.Runs {
		total += uint64(len(r.Checkpoints))
	}
	for _, r := range state.Runs {
		if err := to.createRun(r.ID); err != nil {
			return copied, lost, err
		}
		copied.Runs++
		for _, cp := range r.Checkpoints {
			if err := ctx.Err(); err != nil {
				return copied, lost, err
			}
			if err := to.Checkpoints(r.ID).Copy(from.Checkpoints(r.ID), CheckpointRef(cp)); err != nil {
				lost = append(lost, LostFiles{r.ID, fmt.Sprintf("checkpoint %s: %v", cp.Dir, err)})
				continue
			}
			copied.Checkpoints++
			progress(uint64(copied.Checkpoints), total)
		}
		last, ok := r.LastCheckpoint()
		if !ok {
			continue
		}
		pinned := stepseries.Digest{Records: last.Step, SHA256: last.SeriesSHA256}
		if err := to.Series(r.ID).Copy(from.Series(r.ID), pinned); err != nil {
			lost = append(lost, LostFiles{r.ID, fmt.Sprintf("step series: %v", err)})
		}
	}
	return copied, lost, nil
}
