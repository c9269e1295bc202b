package identity

// Cost says how much one password hash takes (argon2id).
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}
