"""Third parties: who moves the money, who carries the news. Each implements a protocol of `gettone.operations`."""
