package service

import (
	"context"

	"reprise/queue"
)

// CanOwn reports whether a name can be the owner of jobs.
func CanOwn(name string) bool {
	s := queue.Submission{Request: []byte("{}"), Owner: name}
	return name != "" && s.Validate() == nil
}

// userKey is the key of a context that AsUser returns.
type userKey struct{}

// AsUser returns a context for calls of another user than Config.User.
func AsUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// userOf returns whose call it is.
func (s *Service) userOf(ctx context.Context) string {
	if user, given := ctx.Value(userKey{}).(string); given {
		return user
	}
	return s.config.User()
}
