/**
 * One side of the bare pair, a program of its own: bytes between a plain socket and one with Skein's sealed
 * records, read and written as Skein does, and nothing else: no HTTP, frames, credit or policies. What a
 * byte costs here is what it costs on this runtime at the least.
 */
import net from "node:net"
import { writeOut } from "../../src/model/Loan.ts"
import { RecordOpener, RecordSealer, secretLength } from "../../src/model/RecordCipher.ts"
import { linkReadMemory } from "../../src/request/socket/ReadMemory.ts"
import { SocketReads } from "../../src/request/socket/SocketReads.ts"

const setting = (name: string): string => {
  const value = process.env[`PROXY_${name}`]
  if (value === undefined) throw new Error(`PROXY_${name} is not set; BarePair.ts sets it`)
  return value
}

const isClient = setting("SIDE") === "client"
/** Both sides know them: it is about what sealing costs. */
const secrets = [Buffer.alloc(secretLength, 1), Buffer.alloc(secretLength, 2)] as const
const [send, receive] = isClient ? secrets : ([secrets[1], secrets[0]] as const)
const next = { host: "127.0.0.1", port: Number(setting("NEXT_PORT")), noDelay: true }

interface End {
  readonly socket: net.Socket
  readonly reads: SocketReads
}

const join = (plain: End, sealed: End): void => {
  const sealer = new RecordSealer(send)
  const opener = new RecordOpener(receive, (_kind, _lane, bytes) => writeOut(plain.socket, bytes))
  plain.reads.onBytes = (bytes) => {
    sealed.socket.cork()
    for (const piece of sealer.sealParts(0, 0, [bytes])) writeOut(sealed.socket, piece)
    sealed.socket.uncork()
    if (sealed.socket.writableNeedDrain) plain.socket.pause()
  }
  sealed.reads.onBytes = (bytes) => {
    opener.push(bytes)
    if (plain.socket.writableNeedDrain) sealed.socket.pause()
  }
  sealed.socket.on("drain", () => plain.socket.resume())
  plain.socket.on("drain", () => sealed.socket.resume())
  const end = () => {
    plain.socket.destroy()
    sealed.socket.destroy()
  }
  for (const { socket } of [plain, sealed]) {
    socket.on("error", end) // "close" follows, and changes nothing
    socket.on("end", end)
    socket.on("close", end)
  }
}

/** Of the plain end, or the sealed one. */
const readsOf = (isPlain: boolean): SocketReads =>
  isPlain ? new SocketReads() : new SocketReads(linkReadMemory)

net
  .createServer({ pauseOnConnect: true, noDelay: true }, (connection) => {
    const reads = readsOf(isClient)
    const accepted = { socket: reads.accept(connection), reads }
    const further = readsOf(!isClient)
    const dialled = { socket: further.connect(next), reads: further }
    if (isClient) join(accepted, dialled)
    else join(dialled, accepted)
  })
  .listen(Number(setting("PORT")), "127.0.0.1")
