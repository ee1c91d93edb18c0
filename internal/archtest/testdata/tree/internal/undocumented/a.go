package undocumented // want package-doc "has no package comment"

import . "errors" // want bans "a dot import hides"

import "log" // want bans "handle an error or return it"

var _ = New
var _ = log.Println
