#include "textflag.h"

// The steps are those of the processor's manual for one text, taken in turn
// for two: SHA256RNDS2 waits four cycles for the one before it, and meanwhile
// the other text's can run.

// OPEN turns eight words into the two halves the instructions work on.
#define OPEN(words, s0, s1, t) \
	MOVOU   (words), t      \
	MOVOU   16(words), s1   \
	PSHUFD  $0xB1, t, t     \
	PSHUFD  $0x1B, s1, s1   \
	MOVO    t, s0           \
	PALIGNR $8, s1, s0      \
	PBLENDW $0xF0, t, s1

// CLOSE is the way back.
#define CLOSE(words, s0, s1, t) \
	PSHUFD  $0x1B, s0, t    \
	PSHUFD  $0xB1, s1, s1   \
	MOVO    t, s0           \
	PBLENDW $0xF0, s1, s0   \
	PALIGNR $8, t, s1       \
	MOVOU   s0, (words)     \
	MOVOU   s1, 16(words)

// ROUNDS are four rounds with the words in cur.
#define ROUNDS(i, cur, s0, s1) \
	MOVOU       (i*16)(AX), X0 \
	PADDL       cur, X0        \
	SHA256RNDS2 X0, s0, s1     \
	PSHUFD      $0x0E, X0, X0  \
	SHA256RNDS2 X0, s1, s0

// LOAD are four rounds with words of the text.
#define LOAD(i, text, cur, s0, s1) \
	MOVOU  (i*16)(text), cur \
	PSHUFB X15, cur          \
	ROUNDS(i, cur, s0, s1)

// NEXT makes the words that follow those in cur.
#define NEXT(cur, prev, next, t) \
	MOVO       cur, t        \
	PALIGNR    $4, prev, t   \
	PADDL      t, next       \
	SHA256MSG2 cur, next

// func blocksSHANI(a, b *[8]uint32, p, q *byte, n int, k *[64]uint32)
TEXT ·blocksSHANI(SB), NOSPLIT, $64-48
	MOVQ  a+0(FP), DI
	MOVQ  b+8(FP), SI
	MOVQ  p+16(FP), R8
	MOVQ  q+24(FP), R9
	MOVQ  n+32(FP), CX
	MOVQ  k+40(FP), AX
	MOVOU turn<>(SB), X15
	OPEN(DI, X1, X2, X7)
	OPEN(SI, X8, X9, X14)

next:
	MOVOU X1, 0(SP)
	MOVOU X2, 16(SP)
	MOVOU X8, 32(SP)
	MOVOU X9, 48(SP)
	LOAD(0, R8, X3, X1, X2)
	LOAD(0, R9, X10, X8, X9)
	LOAD(1, R8, X4, X1, X2)
	SHA256MSG1 X4, X3
	LOAD(1, R9, X11, X8, X9)
	SHA256MSG1 X11, X10
	LOAD(2, R8, X5, X1, X2)
	SHA256MSG1 X5, X4
	LOAD(2, R9, X12, X8, X9)
	SHA256MSG1 X12, X11
	LOAD(3, R8, X6, X1, X2)
	NEXT(X6, X5, X3, X7)
	SHA256MSG1 X6, X5
	LOAD(3, R9, X13, X8, X9)
	NEXT(X13, X12, X10, X14)
	SHA256MSG1 X13, X12
	ROUNDS(4, X3, X1, X2)
	NEXT(X3, X6, X4, X7)
	SHA256MSG1 X3, X6
	ROUNDS(4, X10, X8, X9)
	NEXT(X10, X13, X11, X14)
	SHA256MSG1 X10, X13
	ROUNDS(5, X4, X1, X2)
	NEXT(X4, X3, X5, X7)
	SHA256MSG1 X4, X3
	ROUNDS(5, X11, X8, X9)
	NEXT(X11, X10, X12, X14)
	SHA256MSG1 X11, X10
	ROUNDS(6, X5, X1, X2)
	NEXT(X5, X4, X6, X7)
	SHA256MSG1 X5, X4
	ROUNDS(6, X12, X8, X9)
	NEXT(X12, X11, X13, X14)
	SHA256MSG1 X12, X11
	ROUNDS(7, X6, X1, X2)
	NEXT(X6, X5, X3, X7)
	SHA256MSG1 X6, X5
	ROUNDS(7, X13, X8, X9)
	NEXT(X13, X12, X10, X14)
	SHA256MSG1 X13, X12
	ROUNDS(8, X3, X1, X2)
	NEXT(X3, X6, X4, X7)
	SHA256MSG1 X3, X6
	ROUNDS(8, X10, X8, X9)
	NEXT(X10, X13, X11, X14)
	SHA256MSG1 X10, X13
	ROUNDS(9, X4, X1, X2)
	NEXT(X4, X3, X5, X7)
	SHA256MSG1 X4, X3
	ROUNDS(9, X11, X8, X9)
	NEXT(X11, X10, X12, X14)
	SHA256MSG1 X11, X10
	ROUNDS(10, X5, X1, X2)
	NEXT(X5, X4, X6, X7)
	SHA256MSG1 X5, X4
	ROUNDS(10, X12, X8, X9)
	NEXT(X12, X11, X13, X14)
	SHA256MSG1 X12, X11
	ROUNDS(11, X6, X1, X2)
	NEXT(X6, X5, X3, X7)
	SHA256MSG1 X6, X5
	ROUNDS(11, X13, X8, X9)
	NEXT(X13, X12, X10, X14)
	SHA256MSG1 X13, X12
	ROUNDS(12, X3, X1, X2)
	NEXT(X3, X6, X4, X7)
	SHA256MSG1 X3, X6
	ROUNDS(12, X10, X8, X9)
	NEXT(X10, X13, X11, X14)
	SHA256MSG1 X10, X13
	ROUNDS(13, X4, X1, X2)
	NEXT(X4, X3, X5, X7)
	ROUNDS(13, X11, X8, X9)
	NEXT(X11, X10, X12, X14)
	ROUNDS(14, X5, X1, X2)
	NEXT(X5, X4, X6, X7)
	ROUNDS(14, X12, X8, X9)
	NEXT(X12, X11, X13, X14)
	ROUNDS(15, X6, X1, X2)
	ROUNDS(15, X13, X8, X9)

	MOVOU 0(SP), X7
	PADDL X7, X1
	MOVOU 16(SP), X7
	PADDL X7, X2
	MOVOU 32(SP), X14
	PADDL X14, X8
	MOVOU 48(SP), X14
	PADDL X14, X9
	ADDQ  $64, R8
	ADDQ  $64, R9
	DECQ  CX
	JNZ   next

	CLOSE(DI, X1, X2, X7)
	CLOSE(SI, X8, X9, X14)
	RET

// turn makes big-endian words of bytes.
DATA turn<>+0(SB)/8, $0x0405060700010203
DATA turn<>+8(SB)/8, $0x0c0d0e0f08090a0b
GLOBL turn<>(SB), RODATA|NOPTR, $16
