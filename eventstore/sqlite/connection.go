package sqlite

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// connection is a connection with its prepared statements, each of which is prepared
// once. It is used by one goroutine at a time.
type connection struct {
	*sqlite3.Conn
	prepared map[string]*sqlite3.Stmt
	closed   func() // called after it is closed; may be nil
	// reading is the VFS of a connection for reading, nil for others.
	reading *readVFS
}

// statement returns the prepared statement with the values bound. The caller resets it
// when done.
func (c *connection) statement(sql string, values ...any) (*sqlite3.Stmt, error) {
	stmt, ok := c.prepared[sql]
	if !ok {
		var err error
		if stmt, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return nil, corruption(err)
		}
		c.prepared[sql] = stmt
	}
	for i, v := range values {
		if err := bind(stmt, i+1, v); err != nil {
			return nil, err
		}
	}
	return stmt, nil
}

func bind(stmt *sqlite3.Stmt, i int, value any) error {
	switch v := value.(type) {
	case int:
		return stmt.BindInt(i, v)
	case int64:
		return stmt.BindInt64(i, v)
	case string:
		return stmt.BindText(i, v)
	case []byte:
		if v == nil {
			v = []byte{}
		}
		return stmt.BindBlob(i, v)
	}
	return fmt.Errorf("cannot bind a %T", value)
}

// execute runs a statement that returns no rows.
func (c *connection) execute(sql string, values ...any) error {
	stmt, err := c.statement(sql, values...)
	if err != nil {
		return err
	}
	return stmt.Exec()
}

// queryInt returns the number that the statement returns.
func (c *connection) queryInt(sql string, values ...any) (int64, error) {
	n, found, err := c.lookUp(sql, values...)
	if err == nil && !found {
		err = fmt.Errorf("%s returned no row", sql)
	}
	return n, err
}

// lookUp returns the number in the first row that the statement returns, if there is
// one.
func (c *connection) lookUp(sql string, values ...any) (n int64, found bool, err error) {
	stmt, err := c.statement(sql, values...)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = stmt.Reset() }()
	if !stmt.Step() {
		return 0, false, corruption(stmt.Err())
	}
	return stmt.ColumnInt64(0), true, corruption(stmt.Err())
}

// finalise closes the prepared statements, which would keep the connection open, and
// returns the errors that they still hold.
func (c *connection) finalise() error {
	var err error
	for _, stmt := range c.prepared {
		err = errors.Join(err, stmt.Close())
	}
	clear(c.prepared)
	return err
}

// Close closes statements and connection.
func (c *connection) Close() error {
	err := errors.Join(c.finalise(), c.Conn.Close())
	if c.closed != nil {
		c.closed()
	}
	return err
}
