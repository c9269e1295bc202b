// Package table prints rows for a terminal, in columns that stand straight
// also where Chinese characters take the room of two.
package table

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// gap stands between two columns.
const gap = 2

// Write prints rows, the heading first. The last column is not padded. Line
// breaks and other controls inside a cell become blanks, and so do marks that
// turn the direction of writing: a cell from outside must not move the cursor.
func Write(w io.Writer, rows [][]string) error {
	cells := make([][]string, len(rows))
	var widths []int
	for i, row := range rows {
		for j, text := range row {
			text = oneLine(text)
			cells[i] = append(cells[i], text)
			if j == len(widths) {
				widths = append(widths, 0)
			}
			widths[j] = max(widths[j], uniseg.StringWidth(text))
		}
	}
	for _, row := range cells {
		if _, err := fmt.Fprintln(w, line(row, widths)); err != nil {
			return err
		}
	}
	return nil
}

func line(row []string, widths []int) string {
	var b strings.Builder
	for j, text := range row {
		b.WriteString(text)
		if j < len(row)-1 {
			b.WriteString(strings.Repeat(" ", widths[j]-uniseg.StringWidth(text)+gap))
		}
	}
	return strings.TrimRight(b.String(), " ")
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return ' '
		}
		return r
	}, text)
}
