package shop;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.stub.StreamObserver;
import java.net.InetSocketAddress;
import java.util.List;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import shop.v1.Days;
import shop.v1.Item;
import shop.v1.Progress;
import shop.v1.ShippingGrpc;

/** Sends parcels, and tells where they are. */
public final class Shipping extends ShippingGrpc.ShippingImplBase {
  @Override
  public void estimate(Item item, StreamObserver<Days> answer) {
    answer.onNext(Days.newBuilder().setDays(2).build());
    answer.onCompleted();
  }

  @Override
  public void track(Item item, StreamObserver<Progress> answer) {
    for (String what : List.of("is packed", "is on its way", "is there")) {
      String told = item.getName() + " " + what;
      answer.onNext(Progress.newBuilder().setBy("Java").setWhat(told).build());
    }
    answer.onCompleted();
  }

  public static void main(String[] words) throws Exception {
    int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "0"));
    Server server =
        NettyServerBuilder.forAddress(
                new InetSocketAddress("127.0.0.1", port), InsecureServerCredentials.create())
            .addService(new Shipping())
            .build()
            .start();
    System.out.println("Shipping listens on 127.0.0.1:" + server.getPort());
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
    server.awaitTermination();
  }
}
