package dataset

import (
	_ "embed"

	"reprise/tensor"
)

// The embedded tables; tables/NOTICE says what they are and under which licence.
var (
	//go:embed tables/diabetes.csv
	diabetesFile []byte
	//go:embed tables/wine.csv
	wineFile []byte
)

// tables returns the entries of the embedded tables.
func tables() []Entry {
	return []Entry{
		{
			Name:  "diabetes",
			Title: "Progression of diabetes",
			Description: "442 patients with ten measurements each, and how far their diabetes had come a year later, to be predicted; " +
				"by B. Efron, T. Hastie, I. Johnstone and R. Tibshirani; a fifth is kept for validation. Part of the binary.",
			Source:  "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html (copy of scikit-learn 1.2.1)",
			Licence: "BSD-3-Clause (scikit-learn's copy); the authors name none", LicenceURL: "https://github.com/scikit-learn/scikit-learn/blob/1.2.1/COPYING",
			Files: []File{{"diabetes.csv", 21399, "731c91514b20f51185739fd2533cde9eccd1c61b16c2aba62d9c8082a9151d4f"}},
			Task:  Regression, Train: 353, Validation: 89, Shape: tensor.Shape{10},
			origin: origin{content: diabetesFile, target: "progression"},
		},
		{
			Name:  "wine",
			Title: "Wine recognition",
			Description: "178 wines of three cultivars with thirteen measurements each, by S. Aeberhard and M. Forina; " +
				"a fifth is kept for validation. Part of the binary.",
			Source:  "https://doi.org/10.24432/C5PC7J (copy of scikit-learn 1.2.1)",
			Licence: "CC-BY-4.0 (data), BSD-3-Clause (scikit-learn's copy)", LicenceURL: "https://creativecommons.org/licenses/by/4.0/",
			Files: []File{{"wine.csv", 12373, "0b1878a85c7319cb85c8f5eed4731bac48b130b99bb19169c8ac7f55fbc984f7"}},
			Task:  Classification, Train: 142, Validation: 36, Shape: tensor.Shape{13}, Classes: 3,
			ClassNames: []string{"class_0", "class_1", "class_2"},
			origin:     origin{content: wineFile, target: "cultivar"},
		},
	}
}
