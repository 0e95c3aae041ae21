module endwell/peers/client

go 1.19
