package events

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Postgres is our own PostgreSQL server with a table of events.
type Postgres struct {
	binaries, folder string
	durable          bool
	pool             *pgxpool.Pool
}

// maxConnections is below the server's default limit of 100.
const maxConnections = 64

const (
	tables = `CREATE TABLE events (
		position    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		id          uuid NOT NULL,
		aggregate   text NOT NULL,
		version     bigint NOT NULL,
		type        text NOT NULL,
		time        timestamptz NOT NULL,
		payload     bytea NOT NULL,
		UNIQUE (aggregate, version)
	);
	CREATE TABLE snapshots (aggregate text PRIMARY KEY, version bigint NOT NULL, payload bytea NOT NULL)`
	insert = `INSERT INTO events (id, aggregate, version, type, time, payload) VALUES ($1,$2,$3,$4,$5,$6)`
)

// StartPostgres starts a server with its default settings in the folder, with
// Debian's newest binaries. It listens on a socket in the folder only. Without
// durable, synchronous_commit is off, as PostgreSQL names it.
func StartPostgres(ctx context.Context, folder string, durable bool) (*Postgres, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return nil, errors.New("no PostgreSQL in /usr/lib/postgresql (Debian: apt install postgresql)")
	}
	p := &Postgres{binaries: filepath.Dir(found[len(found)-1]), folder: folder, durable: durable}
	if err := giveToPostgres(folder); err != nil {
		return nil, err
	}
	if err := p.run(ctx, "initdb", "-D", p.data(), "-A", "trust", "-U", "postgres", "-E", "UTF8"); err != nil {
		return nil, err
	}
	if err := p.start(ctx); err != nil {
		return nil, err
	}
	if _, err := p.pool.Exec(ctx, tables); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Postgres) data() string { return filepath.Join(p.folder, "data") }

// giveToPostgres gives the folder to the user that PostgreSQL insists on if we
// are root.
func giveToPostgres(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return os.Chown(folder, uid, gid)
}

func (p *Postgres) run(ctx context.Context, program string, args ...string) error {
	command := append([]string{filepath.Join(p.binaries, program)}, args...)
	if os.Geteuid() == 0 {
		command = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"}, command...)
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = p.folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (p *Postgres) start(ctx context.Context) error {
	settings := "-c listen_addresses= -c unix_socket_directories=" + p.folder
	if !p.durable {
		settings += " -c synchronous_commit=off"
	}
	if err := p.run(ctx, "pg_ctl", "start", "-w", "-D", p.data(), "-l", filepath.Join(p.folder, "log"), "-o", settings); err != nil {
		return err
	}
	config, err := pgxpool.ParseConfig("host=" + p.folder + " user=postgres dbname=postgres")
	if err != nil {
		return err
	}
	config.MaxConns = maxConnections
	p.pool, err = pgxpool.NewWithConfig(ctx, config)
	return err
}

func (p *Postgres) stop() error {
	p.pool.Close()
	return p.run(context.Background(), "pg_ctl", "stop", "-w", "-m", "fast", "-D", p.data())
}

// Close implements Log.
func (p *Postgres) Close() error { return p.stop() }

// Reopen implements Log. The server keeps running: what is measured is
// connecting to it.
func (p *Postgres) Reopen(ctx context.Context) error {
	config := p.pool.Config()
	p.pool.Close()
	var err error
	if p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	return p.pool.Ping(ctx)
}

// Append implements Log: every writer has its own connection and prepared
// statement; each execution is its own transaction.
func (p *Postgres) Append(ctx context.Context, aggregates []string, n int) error {
	return each(aggregates, func(_ int, a string) error {
		conn, err := p.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		for v := 1; v <= n; v++ {
			if _, err := conn.Exec(ctx, insert, id(a, v), a, int64(v), Type, eventTime(), Payload(v)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Fill implements Log. It updates the statistics, as the server would do on its
// own after a while.
func (p *Postgres) Fill(ctx context.Context, aggregates []string, n, snapshot int) error {
	i := -1
	rows := pgx.CopyFromFunc(func() ([]any, error) {
		if i++; i == n*len(aggregates) {
			return nil, nil
		}
		a, v := aggregates[i/n], i%n+1
		return []any{id(a, v), a, int64(v), Type, eventTime(), Payload(v)}, nil
	})
	if _, err := p.pool.CopyFrom(ctx, pgx.Identifier{"events"}, []string{"id", "aggregate", "version", "type", "time", "payload"}, rows); err != nil {
		return err
	}
	for _, a := range aggregates {
		if snapshot == 0 {
			break
		}
		if _, err := p.pool.Exec(ctx, `INSERT INTO snapshots VALUES ($1,$2,$3)`, a, int64(snapshot), Want(snapshot).marshal()); err != nil {
			return err
		}
	}
	_, err := p.pool.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

// row is an event as read from the table.
type row struct {
	position  int64
	id        [16]byte
	aggregate string
	version   int64
	kind      string
	time      time.Time
	payload   []byte
}

// Replay implements Log.
func (p *Postgres) Replay(ctx context.Context, aggregate string, useSnapshot bool) (s State, err error) {
	if useSnapshot {
		var payload []byte
		err := p.pool.QueryRow(ctx, `SELECT payload FROM snapshots WHERE aggregate = $1`, aggregate).Scan(&payload)
		if err != nil {
			return s, err
		}
		if s, err = unmarshal(payload); err != nil {
			return s, err
		}
	}
	events, err := p.read(ctx, ` WHERE aggregate = $1 AND version > $2 ORDER BY version`, aggregate, int64(s.Version))
	if err != nil {
		return s, err
	}
	for _, e := range events {
		if err := s.Apply(int(e.version), e.payload); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (p *Postgres) read(ctx context.Context, where string, args ...any) ([]row, error) {
	rows, err := p.pool.Query(ctx, `SELECT position, id, aggregate, version, type, time, payload FROM events`+where, args...)
	if err != nil {
		return nil, err
	}
	var events []row
	for rows.Next() {
		var e row
		if err := rows.Scan(&e.position, &e.id, &e.aggregate, &e.version, &e.kind, &e.time, &e.payload); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, rows.Err()
}

// ReadAll implements Log, in pages of the same size as ours.
func (p *Postgres) ReadAll(ctx context.Context) (int, error) {
	n, after := 0, int64(0)
	for {
		page, err := p.read(ctx, ` WHERE position > $1 ORDER BY position LIMIT 10000`, after)
		if err != nil || len(page) == 0 {
			return n, err
		}
		n += len(page)
		after = page[len(page)-1].position
	}
}
