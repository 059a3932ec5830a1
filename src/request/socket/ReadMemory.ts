/**
 * Memory that sockets are read into, one piece for all of them. Only one read happens at a time,
 * and whoever gets its bytes has parsed, copied or dropped them when it returns; so a read costs no
 * allocation. Otherwise each takes 64 KiB from the system, is cut to what came, and leaves a buffer
 * to be collected.
 */
export const readMemory = Buffer.allocUnsafeSlow(64 * 1024)

/** For `net.connect({ onread })`. The bytes are the callee's until it returns. */
export const readInto = (onData: (bytes: Buffer) => void) => ({
  buffer: readMemory,
  callback: (length: number): boolean => {
    onData(readMemory.subarray(0, length))
    return true
  }
})
