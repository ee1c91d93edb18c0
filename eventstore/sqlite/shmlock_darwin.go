package sqlite

// F_OFD_SETLK and F_OFD_GETLK of <sys/fcntl.h>, which x/sys does not name.
const (
	ofdSetLock = 90
	ofdGetLock = 92
)
