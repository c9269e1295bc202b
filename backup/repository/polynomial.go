package repository

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"
)

// polynomial over GF(2); bit n is the coefficient of x to the n. Our chunker
// has no use for one, but restic refuses a repository whose config does not
// hold an irreducible one, and cuts with it when it backs up into ours.
type polynomial uint64

// degree that restic draws.
const polynomialDegree = 53

// String is the form in the config: lower-case hex.
func (p polynomial) String() string { return strconv.FormatUint(uint64(p), 16) }

func (p polynomial) degree() int { return bits.Len64(uint64(p)) - 1 }

// drawPolynomial draws until one is irreducible, which one in 53 is; even
// constants are skipped, as x divides them.
func drawPolynomial(random io.Reader) (polynomial, error) {
	var word [8]byte
	for {
		if _, err := io.ReadFull(random, word[:]); err != nil {
			return 0, fmt.Errorf("draw a polynomial: %w", err)
		}
		p := polynomial(binary.LittleEndian.Uint64(word[:]))
		p = p&(1<<polynomialDegree-1) | 1<<polynomialDegree | 1
		if p.irreducible() {
			return p, nil
		}
	}
}

// irreducible is Ben-Or's test: p of degree n is irreducible if it shares no
// factor with x^(2^i) - x for any i up to n/2, for those hold all irreducible
// polynomials of degree i.
func (p polynomial) irreducible() bool {
	if p.degree() < 1 {
		return false
	}
	const x = polynomial(2)
	power := x.mod(p)
	for range p.degree() / 2 {
		power = power.timesMod(power, p)
		if gcd(p, power^x) != 1 {
			return false
		}
	}
	return true
}

func (p polynomial) mod(m polynomial) polynomial {
	for p.degree() >= m.degree() {
		p ^= m << (p.degree() - m.degree())
	}
	return p
}

// timesMod multiplies modulo m; both factors are smaller than m, whose degree
// is below 63.
func (p polynomial) timesMod(q, m polynomial) (product polynomial) {
	for ; q != 0; q >>= 1 {
		if q&1 != 0 {
			product ^= p
		}
		if p <<= 1; p.degree() == m.degree() {
			p ^= m
		}
	}
	return product
}

func gcd(p, q polynomial) polynomial {
	for q != 0 {
		p, q = q, p.mod(q)
	}
	return p
}
