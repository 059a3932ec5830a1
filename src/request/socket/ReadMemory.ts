/**
 * Memory that sockets are read into, one piece for all of them. Only one read happens at a time,
 * and whoever gets its bytes has parsed, copied or dropped them when it returns; so a read costs no
 * allocation. Otherwise each takes 64 KiB from the system, is cut to what came, and leaves a buffer
 * to be collected. A full read is what one write of a link takes (LinkOptions.ts, `batch`): a large
 * body costs by the number of its reads, chunks and writes. Pieces of 128 KiB and more would be dear
 * again: malloc may get and give back each by a call of the system, and every page of it anew.
 */
export const readMemory = Buffer.allocUnsafeSlow(124 * 1024)

/**
 * The same for links: room for four full records and a little. One that a read holds only a part of
 * is copied together from two reads.
 */
export const linkReadMemory = Buffer.allocUnsafeSlow(512 * 1024)

/** For `net.connect({ onread })`. The bytes are the callee's until it returns. */
export const readInto = (onData: (bytes: Buffer) => void, memory: Buffer = readMemory) => ({
  buffer: memory,
  callback: (length: number): boolean => {
    onData(memory.subarray(0, length))
    return true
  }
})
