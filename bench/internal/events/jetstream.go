package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream is a NATS server in this process with one stream of events; each
// aggregate is a subject.
type JetStream struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

// StartJetStream starts a server that does not listen and stores in the folder.
// If durable is set, it syncs every write, otherwise every two minutes, its
// default.
func StartJetStream(ctx context.Context, folder string, durable bool) (*JetStream, error) {
	options := &server.Options{
		JetStream: true, StoreDir: folder, DontListen: true, NoLog: true, NoSigs: true, SyncAlways: durable,
		JetStreamMaxStore: 16 << 30,
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the NATS server did not start within 10 seconds")
	}
	j := &JetStream{server: s}
	if j.conn, err = nats.Connect("", nats.InProcessServer(s)); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	if j.js, err = jetstream.New(j.conn); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	j.stream, err = j.js.CreateStream(ctx, jetstream.StreamConfig{Name: "events", Subjects: []string{"e.>"}, Storage: jetstream.FileStorage})
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
}

// Append implements Log: the expected version is the sequence of the subject's
// last message.
func (j *JetStream) Append(ctx context.Context, aggregates []string, n int) error {
	return each(aggregates, func(_ int, a string) error {
		last := uint64(0)
		for v := 1; v <= n; v++ {
			ack, err := j.js.PublishMsg(ctx, message(a, v), jetstream.WithExpectLastSequencePerSubject(last))
			if err != nil {
				return err
			}
			last = ack.Sequence
		}
		return nil
	})
}

func message(aggregate string, n int) *nats.Msg {
	m := nats.NewMsg("e." + aggregate)
	m.Header.Set("Id", textID(aggregate, n))
	m.Header.Set("Type", Type)
	m.Header.Set("Time", eventTime().Format(time.RFC3339Nano))
	m.Data = Payload(n)
	return m
}

// Fill implements Log, without snapshots. It waits after every 256 messages,
// which the server syncs together.
func (j *JetStream) Fill(ctx context.Context, aggregates []string, n, snapshot int) error {
	if snapshot != 0 {
		return errors.New("JetStream has no snapshots of aggregates")
	}
	for _, a := range aggregates {
		for v := 1; v <= n; v++ {
			if _, err := j.js.PublishMsgAsync(message(a, v)); err != nil {
				return err
			}
			if v%256 != 0 && v != n {
				continue
			}
			select {
			case <-j.js.PublishAsyncComplete():
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// Replay implements Log, with an ordered consumer of the subject.
func (j *JetStream) Replay(ctx context.Context, aggregate string, useSnapshot bool) (s State, err error) {
	if useSnapshot {
		return s, errors.New("JetStream has no snapshots of aggregates")
	}
	subject := "e." + aggregate
	last, err := j.stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return s, err
	}
	consumer, err := j.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		return s, err
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(5000))
	if err != nil {
		return s, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next()
		if err != nil {
			return s, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return s, err
		}
		if err := s.Apply(s.Version+1, m.Data()); err != nil {
			return s, err
		}
		if meta.Sequence.Stream >= last.Sequence {
			return s, nil
		}
	}
}

// Reopen implements Log.
func (j *JetStream) Reopen(context.Context) error { return errors.New("not measured") }

// ReadAll implements Log.
func (j *JetStream) ReadAll(context.Context) (int, error) {
	return 0, fmt.Errorf("not measured")
}

// Close implements Log.
func (j *JetStream) Close() error {
	if j.conn != nil {
		j.conn.Close()
	}
	j.server.Shutdown()
	j.server.WaitForShutdown()
	return nil
}
