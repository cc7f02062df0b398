// Our own files inside a snapshot's tree: what a source knows beyond its entries, so that it is copied and kept with them.
export const ownFolder = '/.lifeboat';
