import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import java.util.List;
import org.h2.mvstore.MVStore;

/** A MongoDB-protocol server on one file: arguments FILE PORT. Ends on SIGTERM with everything written. */
public final class DocumentServer {
    /** The server speaks wire version 8; drivers ask for 9, whose commands in use here it knows. */
    private record Announced() implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    }

    public static void main(String[] arguments) {
        // Written within 50 ms: a killed server may lose less than that, a stopped one nothing.
        MVStore file = new MVStore.Builder().fileName(arguments[0]).open();
        file.setAutoCommitDelay(50);
        H2Backend backend = new H2Backend(file);
        backend.version(new Announced());
        MongoServer server = new MongoServer(backend);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            server.shutdownNow();
            backend.close();
        }));
        server.bind("127.0.0.1", Integer.parseInt(arguments[1]));
    }
}
