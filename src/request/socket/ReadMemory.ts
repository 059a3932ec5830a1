/**
 * Memory that sockets are read into, one piece for all of them. Only one read happens at a time,
 * and whoever gets its bytes has parsed, copied or dropped them when it returns; so a read costs no
 * allocation. Otherwise each takes 64 KiB from the system, is cut to what came, and leaves a buffer
 * to be collected.
 */
export const readMemory = Buffer.allocUnsafeSlow(64 * 1024)

/**
 * The same for links. A record has up to 64 KiB: where a read holds no whole one, each is copied
 * together from two. With twice the room a byte of a large body costs a fifth less.
 */
export const linkReadMemory = Buffer.allocUnsafeSlow(128 * 1024)

/** For `net.connect({ onread })`. The bytes are the callee's until it returns. */
export const readInto = (onData: (bytes: Buffer) => void, memory: Buffer = readMemory) => ({
  buffer: memory,
  callback: (length: number): boolean => {
    onData(memory.subarray(0, length))
    return true
  }
})
