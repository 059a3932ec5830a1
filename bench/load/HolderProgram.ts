/**
 * Holds many connections, in a process of its own. Each has had one answer. `idle` then keeps
 * silent; `slow` goes on asking, with the head of each request in pieces, one after the other.
 * Settings come as JSON in HOLDER; says `ready` when all are open and, asked by SIGTERM, how many
 * still are.
 */
import { createConnection, type Socket } from "node:net"
import { Schema } from "effect"
import { HolderReport, HolderSettings } from "./Holder.ts"

const settings = Schema.decodeSync(Schema.parseJson(HolderSettings))(process.env["HOLDER"] ?? "")
const { entry, host, connections, pieces, everyMs } = settings
const at = entry.lastIndexOf(":")
const [address, port] = [entry.slice(0, at), Number(entry.slice(at + 1))]
const request = `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`

/** Opened at a time, so that no backlog overflows. */
const atOnce = 64

const sockets: Array<Socket> = []
let open = 0
let answered = 0
let errors = 0

const isGood = (answer: string): boolean => answer.startsWith("HTTP/1.1 200")

/** Resolves with the first answer; later ones are counted. */
const hold = (): Promise<void> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: address, port, noDelay: true })
    socket.setEncoding("latin1")
    socket.on("connect", () => {
      open++
      socket.write(request)
    })
    socket.on("data", (answer: string) => {
      if (isGood(answer)) answered++
      else errors++
      resolve()
    })
    socket.on("error", () => undefined) // "close" follows
    socket.on("close", () => {
      open--
      errors++
      resolve()
    })
    sockets.push(socket)
  })

const openAll = async (): Promise<void> => {
  let left = connections
  const one = async () => {
    while (left-- > 0) await hold()
  }
  await Promise.all(Array.from({ length: atOnce }, one))
}

/** Every connection sends its next piece once per `everyMs`, spread evenly over that time. */
const trickle = (): void => {
  const size = Math.ceil(request.length / pieces)
  const slices = 100
  let turn = 0
  setInterval(() => {
    const round = Math.floor(turn / slices)
    for (let i = turn % slices; i < sockets.length; i += slices) {
      const piece = (round + i) % pieces
      // A connection starts with a first piece, whenever that comes.
      if (round >= pieces || piece === 0 || round > (pieces - (i % pieces)) % pieces) {
        sockets[i]?.write(request.slice(piece * size, (piece + 1) * size))
      }
    }
    turn++
  }, everyMs / slices)
}

process.on("SIGTERM", () => {
  const line = Schema.encodeSync(Schema.parseJson(HolderReport))({ open, answered, errors })
  process.stdout.write(`${line}\n`, () => process.exit(0))
})

await openAll()
if (pieces > 0) trickle()
process.stdout.write("ready\n")
