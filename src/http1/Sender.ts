/** Who wrote the fields that are read: what is mended depends on it. */

export type Sender =
  /** A request's: strict. */
  | "client"
  /** A response's. It is written anew, so what the RFC lets a recipient mend is mended. */
  | "program"
  /** A node's of the mesh, on a link: strict. */
  | "node"
