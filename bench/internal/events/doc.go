// Package events does the same work on three event logs: ours, PostgreSQL's
// table and a JetStream stream.
package events
