/** Reads what is uploaded, throws it away and says how much there was. Listens on SINK_PORT. */
import { createServer } from "node:http"

createServer((request, response) => {
  let bytes = 0
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length
  })
  request.on("end", () => response.end(`${bytes}\n`))
}).listen(Number(process.env["SINK_PORT"]), "127.0.0.1")
