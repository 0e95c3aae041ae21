module endwell/peers/reader

go 1.19
