/** A unary call of gRPC as bytes: both messages are small, as most are. */

/** Behind the byte that says whether it is compressed, and its length. */
const framed = (message: Buffer): Buffer => {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

export const grpcPath = "/shop.v1.Payments/Charge"

/** Field 1, a string of 30 bytes, as protobuf has it. */
const text = (letter: string, length: number): Buffer =>
  Buffer.concat([Buffer.of(0x0a, length), Buffer.alloc(length, letter)])

export const grpcRequest = framed(text("q", 30))
export const grpcAnswer = framed(text("a", 62))
