package main

import (
	"errors"
	"os/user"
	"strings"
	"testing"
)

func TestAnOwnerIsTheNameOfTheUserElseTheNumber(t *testing.T) {
	for _, c := range []struct {
		about string
		user  *user.User
		err   error
		uid   int
		want  string
	}{
		{"a user with a name", &user.User{Username: "ada", Uid: "1000"}, nil, 1000, "ada"},
		{"a name that no queue accepts", &user.User{Username: strings.Repeat("x", 500), Uid: "1000"}, nil, 1000, "1000"},
		{"a user without a name", &user.User{Uid: "1000"}, nil, 1000, "1000"},
		{"a user that the system does not know", nil, errors.New("unknown"), 1000, "1000"},
		{"a Windows user", &user.User{Username: `HOST\ada`, Uid: "S-1-5"}, nil, -1, `HOST\ada`},
		{"a Windows user without a name", nil, errors.New("unknown"), -1, ""},
	} {
		if got := ownerName(c.user, c.err, c.uid); got != c.want {
			t.Errorf("%s: %q, want %q", c.about, got, c.want)
		}
	}
}
