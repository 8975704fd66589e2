import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Kafka's tools one after the other in this one process. A line of input is: main class, standard
 * input and arguments, each in base64, separated by blanks. The answer is: exit code, standard
 * output, standard error. An exit stops the tool's thread where it stands, as the real one would.
 */
public class Driver {
    private static volatile OutputStream out;
    private static volatile OutputStream err;

    /** Tools keep System.out from their first use, so what lies behind it is switched. */
    private static PrintStream switching(boolean isOut) {
        return new PrintStream(new OutputStream() {
            private OutputStream now() {
                return isOut ? out : err;
            }
            @Override public void write(int b) throws IOException {
                now().write(b);
            }
            @Override public void write(byte[] bytes, int offset, int length) throws IOException {
                now().write(bytes, offset, length);
            }
        }, true);
    }

    public static void main(String[] args) throws Exception {
        PrintStream real = System.out;
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        out = err = new ByteArrayOutputStream();
        System.setOut(switching(true));
        System.setErr(switching(false));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] words = line.split(" ", -1);
            ByteArrayOutputStream toOut = new ByteArrayOutputStream();
            ByteArrayOutputStream toErr = new ByteArrayOutputStream();
            out = toOut;
            err = toErr;
            System.setIn(new ByteArrayInputStream(decode(words[1])));
            String[] arguments = new String[words.length - 2];
            for (int i = 0; i < arguments.length; i++)
                arguments[i] = new String(decode(words[i + 2]), StandardCharsets.UTF_8);
            int code = run(words[0], arguments);
            real.println(code + " " + encode(toOut) + " " + encode(toErr));
            real.flush();
        }
        Runtime.getRuntime().halt(0);
    }

    private static int run(String mainClass, String[] arguments) throws Exception {
        CompletableFuture<Integer> code = new CompletableFuture<>();
        Exit.Procedure exit = (status, message) -> {
            code.complete(status);
            while (true) {
                try {
                    Thread.sleep(Long.MAX_VALUE);
                } catch (InterruptedException e) {
                    // Stays where it stands.
                }
            }
        };
        List<Runnable> hooks = Collections.synchronizedList(new ArrayList<>());
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        Exit.setExitProcedure(exit);
        Exit.setHaltProcedure(exit);
        Thread tool = new Thread(() -> {
            try {
                Class.forName(mainClass).getMethod("main", String[].class).invoke(null, (Object) arguments);
                code.complete(0);
            } catch (java.lang.reflect.InvocationTargetException e) {
                System.err.print("Exception in thread \"main\" ");
                e.getCause().printStackTrace();
                code.complete(1);
            } catch (Throwable t) {
                t.printStackTrace();
                code.complete(70);
            }
        });
        tool.setDaemon(true);
        tool.start();
        try {
            int status = code.get(90, TimeUnit.SECONDS);
            CompletableFuture.runAsync(() -> hooks.forEach(Runnable::run)).get(30, TimeUnit.SECONDS);
            return status;
        } catch (TimeoutException e) {
            return 124;
        }
    }

    private static byte[] decode(String text) {
        return Base64.getDecoder().decode(text);
    }

    private static String encode(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
