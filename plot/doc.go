// Package plot draws the figures of training: curves and clouds of points ([Chart]) and
// confusion matrices ([Matrix]), as SVG, as PNG, and as characters for a terminal. It knows
// nothing about runs: its callers say what the numbers are.
//
// [SVG] and [PNG] are written from the same scene of lines, rectangles and texts, so that both
// look alike. [Text] draws the same picture by the means of a
// terminal. The same picture always gives the same bytes: there is no date in a file, and
// the font of PNG, which has Latin, Greek and Cyrillic letters, is part of the program. SVG
// has texts as texts, in a font of the viewer.
//
// Numbers that are not finite are left out. Only writing can fail. Functions may be called
// concurrently; they do not change pictures.
package plot
