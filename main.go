// Command emrvault keeps an electronic medical record system recoverable.
package main

func main() {}
