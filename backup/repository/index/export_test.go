package index

// DecodeAny is the slow way of Decode, to compare both.
var DecodeAny = decode
