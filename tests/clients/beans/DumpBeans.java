import com.sun.tools.attach.VirtualMachine;
import java.util.TreeMap;
import javax.management.MBeanAttributeInfo;
import javax.management.MBeanServerConnection;
import javax.management.ObjectName;
import javax.management.remote.JMXConnector;
import javax.management.remote.JMXConnectorFactory;
import javax.management.remote.JMXServiceURL;

/** The Kafka beans of the JVM with that process id, tab separated: object name, attribute, type, value. */
public class DumpBeans {
    public static void main(String[] arguments) throws Exception {
        VirtualMachine machine = VirtualMachine.attach(arguments[0]);
        String address = machine.startLocalManagementAgent();
        machine.detach();
        try (JMXConnector connector = JMXConnectorFactory.connect(new JMXServiceURL(address))) {
            MBeanServerConnection server = connector.getMBeanServerConnection();
            TreeMap<String, ObjectName> names = new TreeMap<>();
            for (ObjectName name : server.queryNames(null, null)) {
                if (name.getDomain().matches("(org\\.apache\\.)?kafka.*")) names.put(name.toString(), name);
            }
            StringBuilder out = new StringBuilder();
            for (ObjectName name : names.values()) {
                for (MBeanAttributeInfo info : server.getMBeanInfo(name).getAttributes()) {
                    Object value = info.isReadable() ? server.getAttribute(name, info.getName()) : null;
                    String type = value == null ? "null" : value.getClass().getSimpleName();
                    out.append(String.join("\t", name.toString(), info.getName(), type, String.valueOf(value))).append('\n');
                }
            }
            System.out.print(out);
        }
    }
}
