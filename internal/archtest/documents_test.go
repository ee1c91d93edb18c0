package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whatever the documents put in backquotes that looks like a path of the tree
// is one: moving a folder means updating its mentions.
func TestDocumentsNamePathsThatExist(t *testing.T) {
	root := "../.."
	documents, err := filepath.Glob(root + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"/docs/*.md", "/docs/*/*.md", "/examples/*.md"} {
		more, err := filepath.Glob(root + pattern)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, more...)
	}
	folders := map[string]bool{}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		folders[e.Name()] = e.IsDir()
	}
	quoted := regexp.MustCompile("`([a-z.][a-zA-Z0-9_./-]*/[a-zA-Z0-9_./*-]*)`")
	checked := 0
	for _, document := range documents {
		raw, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range quoted.FindAllStringSubmatch(string(raw), -1) {
			path := strings.TrimSuffix(match[1], "/...")
			if first, _, _ := strings.Cut(path, "/"); !folders[first] {
				continue // a module, a URL, a user's path
			}
			if last := filepath.Base(path); last == strings.ToUpper(last) && !strings.ContainsAny(last, ".0123456789") {
				continue // a placeholder, such as DEVICE
			}
			found, err := filepath.Glob(filepath.Join(root, path) + "*") // docs/adr/0007 is enough
			if err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which does not exist", strings.TrimPrefix(document, root+"/"), path)
			}
			checked++
		}
	}
	if checked < 100 {
		t.Errorf("only %d paths were found in the documents", checked)
	}
}

// Tests and targets that the documents mention exist, too.
func TestDocumentsNameTestsAndTargetsThatExist(t *testing.T) {
	root := "../.."
	declared := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(raw, -1) {
			declared[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(root + "/Makefile")
	if err != nil {
		t.Fatal(err)
	}
	documents, _ := filepath.Glob(root + "/docs/*.md")
	lists, _ := filepath.Glob(root + "/docs/checklists/*.md")
	documents = append(append(documents, lists...), root+"/README.md", root+"/CONTRIBUTING.md", root+"/ARCHITECTURE.md")
	tests, targets := 0, 0
	for _, document := range documents {
		raw, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(Test[A-Z]\\w+)(\\.\\.\\.)?`").FindAllStringSubmatch(string(raw), -1) {
			tests++
			known := declared[m[1]]
			for name := range declared {
				known = known || m[2] != "" && strings.HasPrefix(name, m[1])
			}
			if !known && m[1] != "TestAStaleLeaseIsRefused" {
				t.Errorf("%s names %s, but there is no test of that name", strings.TrimPrefix(document, root+"/"), m[1])
			}
		}
		for _, m := range regexp.MustCompile("(?:`|    )make ([a-z][a-z-]*)").FindAllStringSubmatch(string(raw), -1) {
			targets++
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).Match(makefile) {
				t.Errorf("%s names make %s, which is not a target", strings.TrimPrefix(document, root+"/"), m[1])
			}
		}
	}
	if tests < 20 || targets < 20 {
		t.Errorf("only %d tests and %d targets were found in the documents", tests, targets)
	}
}
