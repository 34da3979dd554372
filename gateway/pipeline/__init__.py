"""The one path of a call: admission, accept, attempts, results, finish; and recovery, which walks the rest of it after a crash."""
