package dataset

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"reprise/dataset/tokenizer"
)

// The fingerprints that earlier rules gave to the data below: runs that were
// recorded over them must always open the same samples.
const (
	goldenSections   = "4f4a2391e2801fba1cff882307f8ac100bcb9f2e16f96faf58886b827c2fb3ab"
	goldenSnowflakes = "c26d15b772ca80594727e8bddf9f5d57b5c2c0cada95ab7254e238cef825e0ef"
	goldenNotation   = "b25c895324d3f7edf8e7f3db5b7fb64eeb758f7a45149eaefe202bce2e22d887"
	goldenTiny       = "b7968256f2893751a21a558e8a648f00a90a085a96c3ad882fa6573f8d1b4bf6"
	goldenNear       = "567f78d60c35e7b6562d3e322676179228bb8ce60cb1912b7c6ff1908359b379"
	goldenCharacters = "96f98c71bf0366c5a01af31ab640cb28f0786d8e4a8cfecedd262e17102ae1d5"
	goldenSplit      = "f83fe183b49eedca62fdbc61f93182732211377450ea038afe8fa20be7e8e100"
	goldenQuantity   = "53cbe67ee16edcae6464a61c35799745cd7e3ec73c03adcd6333d333459eea4d"
	goldenFar        = "39831377335c030f44211e30fd1f71aa6092821c7ab4727fa7fed196d5735f0b" // of the second rules
	goldenInaccurate = "c87b0b6988c7d4b97fa4e2bbee2d7e1df464cb8b7dc265f0966f32ad58cf531e" // of the second rules
)

func TestWhatWasReadByEarlierRulesIsReadByThemAgain(t *testing.T) {
	near := "a,b,y\n"
	for i := range 40 {
		near += fmt.Sprintf("%s,%d,%d\n", []string{"0.3", "0.30000000000000004"}[i%2], i, i%2)
	}
	far, inaccurate := "a,b,y\n", "a,b,y\n"
	for i := range 400 {
		far += fmt.Sprintf("%d.%s,%d,%d\n", 1_000_000_000_000_000+i*7%11, []string{"5", "125"}[i%2], i, i%2)
		inaccurate += fmt.Sprintf("%d.%s,%d,%d\n", 1_000_000_000_000+i*i%13, []string{"1", "37", "9"}[i%3], i, i%2)
	}
	quantity := "a,y\n"
	for i := range 60 {
		quantity += fmt.Sprintf("%d,%d\n", i, i%30)
	}
	for name, c := range map[string]struct {
		file, text string
		source     Source
		want       string
		same       bool // the current rules read the same
	}{
		"merged sections":   {"d.csv", "a,y\n1,1_1\n2,1_2\n3,11\n4,12\n5,11\n6,12\n", Source{Target: "y"}, goldenSections, false},
		"merged snowflakes": {"d.csv", "a,y\n1,1234567890123456788\n2,1234567890123456789\n3,5\n4,5\n", Source{Target: "y"}, goldenSnowflakes, false},
		"Go's notation":     {"d.csv", "a,y\n1_000,0\n0x1p4,1\n3,1\n4,0\n", Source{Target: "y"}, goldenNotation, false},
		"tiny column":       {"d.csv", "a,y\n1e-200,0\n2e-200,1\n3e-200,1\n4e-200,0\n", Source{Target: "y"}, goldenTiny, false},
		"nearly constant":   {"d.csv", near, Source{Target: "y"}, goldenNear, false},
		"characters":        {"d.txt", strings.Repeat("Größe – naïve\n", 20), Source{Tokenizer: tokenizer.Characters, Context: 4}, goldenCharacters, false},
		"split characters":  {"d.txt", strings.Repeat("\U0001F600", 22), Source{Context: 2}, goldenSplit, false},
		"zeroed":            {"d.csv", far, Source{Target: "y"}, goldenFar, false},
		"inaccurate mean":   {"d.csv", inaccurate, Source{Target: "y"}, goldenInaccurate, false},
		"quantity":          {"d.csv", quantity, Source{Target: "y", Task: Classification}, goldenQuantity, true},
		"ordinary":          {"d.csv", smallCSV, Source{Target: "kind"}, goldenCSV, true},
	} {
		t.Run(name, func(t *testing.T) {
			c.source.Path = writeFile(t, t.TempDir(), c.file, c.text)
			library, err := NewLibrary(Config{CacheDir: t.TempDir(), GoProxy: "off"})
			if err != nil {
				t.Fatal(err)
			}
			d, err := library.Reopen(context.Background(), c.source, c.want)
			if err != nil {
				t.Fatal(err)
			}
			if d.Fingerprint() != c.want {
				t.Errorf("fingerprint %s, want %s", d.Fingerprint(), c.want)
			}
			now, err := library.Open(context.Background(), c.source)
			if same := err == nil && now.Fingerprint() == c.want; same != c.same {
				t.Errorf("opened now it is the same: %t, %v", same, err)
			}
			if err != nil {
				return
			}
			again, err := library.Reopen(context.Background(), c.source, now.Fingerprint())
			if err != nil || again.Fingerprint() != now.Fingerprint() {
				t.Errorf("by the current rules: %v", err)
			}
		})
	}
}

func TestOpticksIsReadByTheFirstRulesAgain(t *testing.T) {
	const want = "3246967e6ba0c9d594e8cb6e652ac910163c7d283bf75e6692577e56a975f7ed" // runs and bench name it
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), SystemDir: t.TempDir(), GoProxy: "off", GoRoot: goRoot(t)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := library.Reopen(context.Background(), Source{Path: "opticks", Tokenizer: tokenizer.Characters}, want)
	if err != nil || d.Fingerprint() != want || d.Classes() != 93 {
		t.Errorf("%v", err)
	}
}

func TestReopenReturnsWhatOpenDoesWhereDataHasChanged(t *testing.T) {
	library, err := NewLibrary(Config{CacheDir: t.TempDir(), GoProxy: "off"})
	if err != nil {
		t.Fatal(err)
	}
	source := Source{Path: writeFile(t, t.TempDir(), "d.csv", smallCSV), Target: "kind"}
	d, err := library.Reopen(context.Background(), source, strings.Repeat("0", 64))
	if err != nil || d.Fingerprint() != goldenCSV {
		t.Errorf("%v", err)
	}
	source.Path = writeFile(t, t.TempDir(), "d.csv", "a,y\n1_000,0\n2,1\n3,1\n")
	source.Target = "y"
	_, err = library.Reopen(context.Background(), source, strings.Repeat("0", 64))
	checkDataError(t, err, `"1_000" is a number in another notation`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := library.Reopen(ctx, source, goldenCSV); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A Source opened for the first time is read by the current rules; ordinary tables
// read the same by all of them.
func TestOrdinaryTablesReadTheSameByAllRules(t *testing.T) {
	for name, text := range map[string]string{
		"integers":  "x,y\n1,0\n2,1\n30,2\n4,1\n5,2\n-6,0\n",
		"fractions": "x,y\n1.25,a\n.5,b\n5.,a\n1e3,b\n+7,a\n",
		"labels":    "x,y\n1,1.0\n2,2.50\n3,1\n4,2.5\n5,-0\n6,0\n",
		"p values":  "x,y\n1,0\n1e-200,1\n0.5,1\n0.25,0\n3e-38,1\n",
	} {
		path := writeFile(t, t.TempDir(), "d.csv", text)
		prints := map[string]bool{}
		for _, r := range []reading{firstReading, secondReading, currentReading} {
			d, err := r.openCSV(context.Background(), Source{Path: path, Target: "y"})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			prints[d.Fingerprint()] = true
			for _, c := range d.scaling.columns {
				if math.IsNaN(c.SD) || c.SD <= 0 {
					t.Errorf("%s: %+v", name, c)
				}
			}
		}
		if len(prints) != 1 {
			t.Errorf("%s: the rules give different fingerprints", name)
		}
	}
}
