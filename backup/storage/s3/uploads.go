package s3

// uploadsAtOnce hides the time an answer takes: with four packs of 16 MiB under
// way a link of 100 ms stays full up to some 600 MB/s.
const uploadsAtOnce = 4

// Uploads is how many packs are best stored at once.
func (s *Storage) Uploads() int { return uploadsAtOnce }
