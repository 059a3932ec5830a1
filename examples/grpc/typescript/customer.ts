/**
 * Orders something, and says what was answered, in JSON:
 *
 *     node examples/grpc/typescript/customer.ts tea [TRACEPARENT]
 */
import { Metadata } from "@grpc/grpc-js"
import { call, type Order } from "./Program.ts"

const [name = "tea", traceparent] = process.argv.slice(2)
const metadata = new Metadata()
if (traceparent !== undefined) metadata.set("traceparent", traceparent)
const place = { name: "order", service: "Orders", method: "Place" }
const order = await call<Order>(place, { name }, metadata).catch((cause: Error) => {
  console.error(cause.message)
  process.exit(1)
})
console.log(JSON.stringify(order))
process.exit(0) // connections would stay for the next call
